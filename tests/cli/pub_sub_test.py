# SPDX-License-Identifier: MPL-2.0
import json
import os
import signal
import tempfile
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def subscribed(self, *arguments):
        """A subscriber that is bound, and where; publishers connect to it."""
        subscriber = self.start_parley("sub", "bind:tcp://127.0.0.1:0", *arguments)
        return subscriber, "connect:" + subscriber.bound()

    def json_subscriber(self):
        subscriber = self.start_parley("sub", "bind:tcp://127.0.0.1:0", "--json", "--count", 1)
        return subscriber, "connect:" + json.loads(subscriber.line())["bound"]

    def test_sub_prints_topic_and_body_separated_by_a_tab(self):
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "prices.eurusd", "1.0842"))
        self.assert_done(subscriber.finish(), "prices.eurusd\t1.0842\n")

    def test_pub_binds_and_sub_connects_unless_told_otherwise(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "hello")
        subscriber = self.start_parley("sub", publisher.bound(), "--count", 1)
        self.assert_done(subscriber.finish(), "t\thello\n")
        self.assert_done(publisher.finish())

    def test_pub_waits_for_a_subscriber_so_that_nothing_is_missed(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t")
        there = publisher.bound()
        publisher.write("first\nlast\n")
        subscriber = self.start_parley("sub", there, "--count", 2)
        self.assert_done(subscriber.finish(), "t\tfirst\nt\tlast\n")

    def test_pub_waits_for_as_many_subscribers_as_asked(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "x", "--wait", 2)
        there = publisher.bound()
        subscribers = [self.start_parley("sub", there, "--count", 1) for _ in range(2)]
        for subscriber in subscribers:
            self.assert_done(subscriber.finish(), "t\tx\n")

    def test_pub_without_a_subscriber_times_out(self):
        self.assert_fails(self.parley("pub", "ipc://*", "t", "x", "--timeout", "0.05"), 2,
                          "fewer than 1 subscribed to 't' at ipc://* within 0.05 s")

    def test_pub_with_wait_0_needs_nobody(self):
        self.assert_done(self.parley("pub", "ipc://*", "t", "x", "--wait", 0))

    def test_sub_gets_the_topics_with_its_prefixes_only(self):
        subscriber, there = self.subscribed("a.", "c", "--count", 2)
        self.assert_done(self.parley("pub", there, "a.1", "x"))
        # Nobody wants it, as pub can tell.
        self.assertEqual(self.parley("pub", there, "b", "x", "--timeout", "0.2").code, 2)
        self.assert_done(self.parley("pub", there, "cd", "x"))
        self.assert_done(subscriber.finish(), "a.1\tx\ncd\tx\n")

    def test_sub_listens_to_several_publishers(self):
        publishers = [self.start_parley("pub", "tcp://127.0.0.1:0", "t", n) for n in "12"]
        first, second = [each.bound() for each in publishers]
        subscriber = self.start_parley("sub", first, "--also", second, "--count", 2)
        self.assertEqual(sorted(subscriber.finish().out.splitlines()), ["t\t1", "t\t2"])

    def test_sub_times_out_when_nothing_comes(self):
        self.assert_fails(self.parley("sub", "tcp://127.0.0.1:1", "--timeout", "0.05"), 2,
                          "nothing came from tcp://127.0.0.1:1 within 0.05 s")

    def test_sub_prints_json(self):
        subscriber, there = self.json_subscriber()
        self.parley("pub", there, "t", 'he said "Grüße"')
        self.assert_json_lines(subscriber.finish().out.split("\n", 1)[1],
                               {"topic": "t", "body": 'he said "Grüße"'})

    def test_bytes_that_are_not_utf_8_become_base64_in_json(self):
        subscriber, there = self.json_subscriber()
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\xff\x00\n\xfe")
            file.flush()
            self.parley("pub", there, "t", "--file", file.name, "--whole")
        self.assert_json_lines(subscriber.finish().out.split("\n", 1)[1],
                               {"topic": "t", "body_base64": "/wAK/g=="})

    def test_each_line_of_stdin_is_a_message(self):
        subscriber, there = self.subscribed("--count", 3)
        self.assert_done(self.parley("pub", there, "t", stdin="one\n\nlast without an end"))
        self.assert_done(subscriber.finish(), "t\tone\nt\t\nt\tlast without an end\n")

    def test_a_dash_means_stdin_too(self):
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "t", "-", stdin="from stdin\n"))
        self.assert_done(subscriber.finish(), "t\tfrom stdin\n")

    def test_a_line_is_published_when_it_is_read_not_when_input_ends(self):
        subscriber, there = self.subscribed()
        publisher = self.start_parley("pub", there, "t")
        publisher.write("now\n")
        self.assertEqual(subscriber.line(), "t\tnow")

    def test_each_line_of_a_file_is_a_message(self):
        subscriber, there = self.subscribed("--count", 2)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("one\ntwo\n")
            file.flush()
            self.assert_done(self.parley("pub", there, "t", "--file", file.name))
        self.assert_done(subscriber.finish(), "t\tone\nt\ttwo\n")

    def test_whole_makes_one_message_of_stdin(self):
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "t", "--whole", stdin="one\ntwo"))
        self.assert_done(subscriber.finish(), "t\tone\ntwo\n")

    def test_count_repeats_a_body(self):
        subscriber, there = self.subscribed("--count", 3)
        self.assert_done(self.parley("pub", there, "t", "again", "--count", 3))
        self.assert_done(subscriber.finish(), "t\tagain\n" * 3)

    def test_count_cuts_input_short(self):
        subscriber, there = self.subscribed("--timeout", 5)
        self.assert_done(self.parley("pub", there, "t", "--count", 1, stdin="one\ntwo\n"))
        self.assert_done(self.parley("pub", there, "end", "x"))
        self.assertEqual([subscriber.line(), subscriber.line()], ["t\tone", "end\tx"])

    def test_a_large_body_arrives_whole_although_pub_ends_at_once(self):
        body = "x" * 10_000_000
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "t", "--whole", stdin=body))
        self.assertEqual(len(subscriber.finish().out), len(f"t\t{body}\n"))

    def test_an_interrupted_sub_that_has_no_count_is_done(self):
        subscriber, _ = self.subscribed()
        self.assert_done(subscriber.stop(signal.SIGINT))

    def test_an_interrupted_sub_that_has_a_count_is_not_done(self):
        subscriber, _ = self.subscribed("--count", 1)
        self.assertEqual(subscriber.stop(signal.SIGINT).code, 130)

    def test_a_pub_that_waits_for_input_ends_on_sigterm(self):
        subscriber, there = self.subscribed()
        publisher = self.start_parley("pub", there, "t")
        publisher.write("one\n")
        subscriber.line()
        publisher.process.send_signal(signal.SIGTERM)
        self.assertEqual(publisher.process.wait(20), 143)

    def test_sub_ends_quietly_when_its_reader_is_gone(self):
        ours, its = os.pipe()
        subscriber = self.start_parley("sub", "bind:tcp://127.0.0.1:0", stdout=its)
        os.close(its)
        subscriber.bound()
        os.close(ours)
        result = subscriber.finish()
        self.assertEqual((result.code, result.err.count("\n")), (0, 1), result.err)


if __name__ == "__main__":
    unittest.main()
