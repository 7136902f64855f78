# SPDX-License-Identifier: MPL-2.0
import json
import os
import re
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

    def publisher(self, *arguments, lines=(), topic="t"):
        """A publisher of lines of its stdin, and where. It has published the given ones."""
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", topic, "-", *arguments)
        there = publisher.bound()
        if lines:
            witness = self.start_parley("sub", there, "--count", len(lines))
            publisher.write("".join(f"{line}\n" for line in lines))
            self.assertEqual(witness.finish().code, 0)
        return publisher, there

    def lagging(self, *arguments):
        """A publisher of 1 to 100 to a subscriber that was stopped after 0: both, and where."""
        publisher, there = self.publisher("--limit", 10, "--wait", 2, *arguments)
        subscriber = self.start_parley("sub", there, "--json")
        witness = self.start_parley("sub", there)
        publisher.write("0\n")
        self.assertEqual(json.loads(subscriber.line())["body"], "0")
        self.assertEqual(witness.line(), "t\t0")
        subscriber.process.send_signal(signal.SIGSTOP)
        publisher.write("".join(f"{number}\n" for number in range(1, 101)))
        return publisher, subscriber, witness

    def objects_until(self, program, body):
        objects = []
        while not objects or objects[-1].get("body") != body:
            objects.append(json.loads(program.line()))
        return objects

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
        received = json.loads(subscriber.line())
        self.assertRegex(received.pop("publisher"), "^[0-9a-f]{16}$")
        self.assertEqual(received, {"topic": "t", "body": 'he said "Grüße"', "sequence": 1,
                                    "urgent": False})

    def test_bytes_that_are_not_utf_8_become_base64_in_json(self):
        subscriber, there = self.json_subscriber()
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\xff\x00\n\xfe")
            file.flush()
            self.parley("pub", there, "t", "--file", file.name, "--whole")
        self.assertEqual(json.loads(subscriber.line())["body_base64"], "/wAK/g==")

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

    def test_urgent_messages_say_so(self):
        subscriber, there = self.json_subscriber()
        self.assert_done(self.parley("pub", there, "t", "x", "--urgent"))
        self.assertTrue(json.loads(subscriber.line())["urgent"])

    def test_pub_ends_when_everything_was_received(self):
        subscriber, there = self.subscribed("--count", 20000)
        lines = "".join(f"{number}\n" for number in range(20000))
        self.assert_done(self.parley("pub", there, "t", "--when-lagging", "wait", "--limit", 100,
                                     stdin=lines))
        self.assertEqual(subscriber.finish().out, "".join(f"t\t{line}\n" for line in lines.split()))

    def test_pub_tells_when_a_subscriber_did_not_receive_everything(self):
        publisher, there = self.publisher("--timeout", 3)
        subscriber = self.start_parley("sub", there)
        publisher.write("first\n")
        subscriber.line()
        subscriber.process.send_signal(signal.SIGSTOP)
        publisher.write("last\n")
        self.assert_fails(publisher.finish(), 2, "had received everything within 3 s")

    def test_history_is_for_those_who_come_late(self):
        _, there = self.publisher("--history", 3, lines="1234")
        late = self.start_parley("sub", there, "--history", "--count", 3)
        self.assert_done(late.finish(), "t\t2\nt\t3\nt\t4\n")

    def test_since_a_number_begins_there(self):
        _, there = self.publisher("--history", 10, lines="1234")
        late = self.start_parley("sub", there, "--since", 3, "--count", 2)
        self.assert_done(late.finish(), "t\t3\nt\t4\n")

    def test_since_a_time_begins_there(self):
        _, there = self.publisher("--history", 10, lines="12")
        late = self.start_parley("sub", there, "--since", "1h", "--count", 2)
        self.assert_done(late.finish(), "t\t1\nt\t2\n")

    def test_last_is_the_last_message_of_each_topic(self):
        publisher, there = self.publisher("--last", "--template", lines="1234",
                                          topic="t.{counter:2}")
        late = self.start_parley("sub", there, "--last", "--count", 2)
        self.assert_done(late.finish(), "t.1\t3\nt.2\t4\n")

    def test_who_asks_for_more_than_is_remembered_is_told_what_is_missing(self):
        _, there = self.publisher("--history", 2, lines="1234")
        late = self.start_parley("sub", there, "--since", 1, "--count", 2)
        result = late.finish()
        self.assert_done(result, "t\t3\nt\t4\n")
        self.assertEqual(result.err, "parley: lost 2 messages of '' (1-2): forgotten\n")

    def test_a_loss_stands_between_the_messages_in_json(self):
        _, there = self.publisher("--history", 2, lines="1234")
        late = self.start_parley("sub", there, "--since", 2, "--count", 2, "--json")
        lost, third, _ = [json.loads(line) for line in late.finish().out.splitlines()]
        self.assertEqual(lost, {"lost": 1, "prefix": "", "publisher": third["publisher"],
                                "first": 2, "last": 2, "urgent": False, "reason": "forgotten"})

    def test_a_subscriber_that_lags_loses_the_oldest(self):
        publisher, subscriber, witness = self.lagging()
        while witness.line() != "t\t100":
            pass
        subscriber.process.send_signal(signal.SIGCONT)
        objects = self.objects_until(subscriber, "100")
        bodies = [int(each["body"]) for each in objects if "body" in each]
        lost = sum(each["lost"] for each in objects if "lost" in each)
        self.assertEqual(len(bodies) + lost, 100)
        self.assertEqual(bodies[-10:], list(range(91, 101)))
        self.assertEqual({each["reason"] for each in objects if "lost" in each}, {"lagged"})

    def test_drop_newest_keeps_what_is_there(self):
        publisher, subscriber, witness = self.lagging("--when-lagging", "drop-newest")
        subscriber.process.send_signal(signal.SIGCONT)
        received = [json.loads(subscriber.line()).get("body") for _ in range(14)]
        self.assertEqual(received, [str(number) for number in range(1, 15)])

    def test_newest_leaves_one_message_of_a_topic(self):
        publisher, subscriber, witness = self.lagging("--when-lagging", "newest")
        while witness.line() != "t\t100":
            pass
        subscriber.process.send_signal(signal.SIGCONT)
        objects = self.objects_until(subscriber, "100")
        bodies = [each["body"] for each in objects if "body" in each]
        self.assertLess(len(bodies), 10)
        self.assertEqual({each["reason"] for each in objects if "lost" in each}, {"superseded"})

    def test_wait_loses_nothing(self):
        publisher, subscriber, witness = self.lagging("--when-lagging", "wait")
        subscriber.process.send_signal(signal.SIGCONT)
        self.assertEqual([each["body"] for each in self.objects_until(subscriber, "100")],
                         [str(number) for number in range(1, 101)])

    def test_who_is_cut_off_is_told(self):
        publisher, subscriber, _ = self.lagging("--when-lagging", "cut-off", "--timeout", 3, "--stats")
        self.assertRegex(publisher.finish().err, r"stats: subscriber \w+ \(cut off\) '': published")
        subscriber.process.send_signal(signal.SIGCONT)
        line = subscriber.line()
        while "cut_off" not in line:
            line = subscriber.line()
        self.assertRegex(json.loads(line)["cut_off"], "^[0-9a-f]{16}$")

    def test_the_books_of_a_publisher_balance(self):
        publisher, subscriber, witness = self.lagging("--stats")
        while witness.line() != "t\t100":
            pass
        books = re.findall(r"subscriber \w+ '': published (\d+) delivered (\d+) queued (\d+) "
                           r"dropped (\d+)(?: \(lagged (\d+)\))?\n", publisher.stop().err)
        for published, delivered, queued, dropped, lagged in books:
            self.assertEqual(int(published), 101)
            self.assertEqual(int(delivered) + int(queued) + int(dropped), 101)
            self.assertEqual(int(lagged or 0), int(dropped))
        self.assertEqual(len(books), 2)

    def test_stats_tell_what_became_of_everything(self):
        subscriber, there = self.subscribed("--stats")
        result = self.parley("pub", there, "t", "x", "--count", 3, "--stats")
        self.assertRegex(result.err, r"stats: publisher [0-9a-f]{16}: published 3 sent plain 0 "
                                     r"remembered 0 last values 0\n")
        self.assertRegex(result.err, r"stats: subscriber [0-9a-f]{16} '': published 3 delivered 3 "
                                     r"queued 0 dropped 0\n")
        self.assertRegex(subscriber.stop().err, r"stats: from publisher ([0-9a-f]{16}): received 3 "
                                                r"waiting 0 repeated 0 lost 0\n"
                                                r"stats: from publisher \1 '': received 3 "
                                                r"waiting 0 lost 0\n")

    def test_stats_tell_of_each_prefix_on_both_ends(self):
        """A message is under the longest prefix that matches it."""
        subscriber, there = self.subscribed("t.", "t.1", "x", "--stats")
        result = self.parley("pub", there, "t.{counter:3}", "--template", "x", "--count", 7, "--stats")
        there = re.findall(r"stats: subscriber \w+ '(.*)': published (\d+) delivered (\d+)", result.err)
        self.assertEqual(there, [("t.", "4", "4"), ("t.1", "3", "3"), ("x", "0", "0")])
        here = re.findall(r"stats: from publisher \w+ '(.*)': received (\d+)", subscriber.stop().err)
        self.assertEqual(here, [("t.", "4"), ("t.1", "3"), ("x", "0")])

    def test_a_body_is_as_it_stands_unless_it_is_a_template(self):
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "t", "{counter}"))
        self.assert_done(subscriber.finish(), "t\t{counter}\n")

    def test_a_template_counts_in_topic_and_body(self):
        subscriber, there = self.subscribed("--count", 3)
        self.assert_done(self.parley("pub", there, "t.{counter:2}", '{"n": {counter}, {other}}',
                                     "--template", "--count", 3))
        self.assert_done(subscriber.finish(), 't.1\t{"n": 1, {other}}\nt.2\t{"n": 2, {other}}\n'
                                              't.1\t{"n": 3, {other}}\n')

    def test_a_template_has_the_time_and_random_letters(self):
        subscriber, there = self.subscribed("--count", 1)
        self.assert_done(self.parley("pub", there, "t", "{time} {random} {random:5}", "--template"))
        self.assertRegex(subscriber.finish().out, r"^t\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z "
                                                  r"[a-z0-9]{16} [a-z0-9]{5}\n$")

    def test_every_repeats_a_body_until_interrupted(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "{counter}", "--template",
                                      "--every", "1ms")
        subscriber = self.start_parley("sub", publisher.bound())
        for number in range(1, 6):
            self.assertEqual(subscriber.line(), f"t\t{number}")
        self.assert_done(publisher.stop(signal.SIGINT))

    def test_every_with_a_count_ends(self):
        subscriber, there = self.subscribed("--count", 3)
        self.assert_done(self.parley("pub", there, "t", "x", "--every", "0.001", "--count", 3))
        self.assert_done(subscriber.finish(), "t\tx\n" * 3)

    def test_delay_lets_messages_leave_together(self):
        subscriber, there = self.subscribed("--count", 3)
        self.assert_done(self.parley("pub", there, "t", "x", "--count", 3, "--delay", "10ms"))
        self.assert_done(subscriber.finish(), "t\tx\n" * 3)

    def test_a_subscriber_has_what_a_restarted_publisher_remembers(self):
        with tempfile.TemporaryDirectory() as directory:
            there = f"ipc://{directory}/feed"
            subscriber = self.start_parley("sub", there)
            self.assert_done(self.parley("pub", there, "t", "before"))
            self.assertEqual(subscriber.line(), "t\tbefore")
            second = self.start_parley("pub", there, "t", "--wait", 0, "--history", 10)
            second.write("1\n2\n")
            self.assertEqual([subscriber.line(), subscriber.line()], ["t\t1", "t\t2"])

    def test_no_recover_leaves_out_what_was_published_meanwhile(self):
        with tempfile.TemporaryDirectory() as directory:
            there = f"ipc://{directory}/feed"
            subscriber = self.start_parley("sub", there, "--no-recover")
            self.assert_done(self.parley("pub", there, "t", "before"))
            self.assertEqual(subscriber.line(), "t\tbefore")
            subscriber.process.send_signal(signal.SIGSTOP)
            second = self.start_parley("pub", there, "t", "--wait", 0, "--history", 10)
            second.write("1\n2\n")
            witness = self.start_parley("sub", there, "--history", "--count", 2)
            self.assert_done(witness.finish(), "t\t1\nt\t2\n")
            subscriber.process.send_signal(signal.SIGCONT)
            while subscriber.lines["out"].empty():
                second.write("later\n")
            self.assertEqual(subscriber.line(), "t\tlater")

    def test_a_pub_that_waits_for_a_subscriber_to_receive_ends_on_sigterm(self):
        subscriber, there = self.subscribed()
        publisher = self.start_parley("pub", there, "t", "--stats")
        publisher.write("first\n")
        subscriber.line()
        subscriber.process.send_signal(signal.SIGSTOP)
        publisher.write("last\n")
        publisher.process.stdin.close()
        publisher.process.send_signal(signal.SIGTERM)
        self.assertEqual(publisher.process.wait(20), 143)
        subscriber.process.send_signal(signal.SIGCONT)

    def test_a_duration_has_a_unit_that_is_known(self):
        self.assert_fails(self.parley("sub", "tcp://localhost:1", "--since", "5 days"), 1,
                          "'5 days' is no duration")

    def test_last_and_since_exclude_each_other(self):
        self.assert_fails(self.parley("sub", "tcp://localhost:1", "--last", "--since", 5), 1,
                          "--last excludes --since")

    def test_a_policy_has_a_name_that_is_known(self):
        self.assert_fails(self.parley("pub", "ipc://*", "t", "x", "--when-lagging", "shout"), 1,
                          "drop-oldest")

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
