# SPDX-License-Identifier: MPL-2.0
import json
import re
import signal
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def forwarder(self, *arguments):
        """A forwarder, and where subscribers find it."""
        node = self.start_parley("forward", "--to", "tcp://127.0.0.1:0", *arguments)
        return node, node.bound()

    def publisher(self, *arguments):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "-", *arguments)
        return publisher, publisher.bound()

    def test_a_subscriber_gets_what_is_published_behind_a_forwarder(self):
        publisher, source = self.publisher()
        _, there = self.forwarder("--from", source)
        subscriber = self.start_parley("sub", there, "--count", 2)
        publisher.write("one\ntwo\n")
        self.assert_done(subscriber.finish(), "t\tone\nt\ttwo\n")

    def test_several_publishers_and_places(self):
        publishers = [self.publisher() for _ in range(2)]
        sources = [word for _, source in publishers for word in ("--from", source)]
        node, first = self.forwarder("--to", "ipc://*", "--always", "t", "--history", 10, *sources)
        for number, (publisher, _) in enumerate(publishers):
            publisher.write(f"{number}\n")
        for there in (first, node.bound()):
            subscriber = self.start_parley("sub", there, "--history", "--count", 2)
            self.assertEqual(sorted(subscriber.finish().out.splitlines()), ["t\t0", "t\t1"])

    def test_a_forwarder_keeps_the_number_and_who_gave_it(self):
        publisher, source = self.publisher("--wait", 2)
        _, there = self.forwarder("--from", source)
        subscribers = [self.start_parley("sub", each, "--json", "--count", 1)
                       for each in (source, there)]
        publisher.write("x\n")
        direct, forwarded = [json.loads(each.finish().out) for each in subscribers]
        self.assertEqual(direct, forwarded)

    def test_a_late_joiner_gets_the_memory_of_the_forwarder(self):
        publisher, source = self.publisher()
        _, there = self.forwarder("--from", source, "--always", "", "--history", 10)
        publisher.write("1\n2\n")
        late = self.start_parley("sub", there, "--history", "--count", 2)
        self.assert_done(late.finish(), "t\t1\nt\t2\n")

    def test_a_forwarder_with_a_memory_begins_with_that_of_its_publishers(self):
        publisher, source = self.publisher("--history", 10)
        witness = self.start_parley("sub", source, "--count", 2)
        publisher.write("1\n2\n")
        self.assertEqual(witness.finish().code, 0)
        _, there = self.forwarder("--from", source, "--always", "", "--history", 10)
        late = self.start_parley("sub", there, "--history", "--count", 2)
        self.assert_done(late.finish(), "t\t1\nt\t2\n")

    def test_an_interrupted_forwarder_is_done(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            node, _ = self.forwarder("--from", "tcp://127.0.0.1:1")
            self.assert_done(node.stop(number))

    def test_json_announces_what_is_bound(self):
        node = self.start_parley("forward", "--from", "tcp://127.0.0.1:1", "--to", "ipc://*",
                                 "--to", "tcp://127.0.0.1:0", "--json")
        self.assertRegex(json.loads(node.line())["bound"], "^ipc://")
        self.assertRegex(json.loads(node.line())["bound"], r"^tcp://127\.0\.0\.1:\d+$")

    def test_stats_tell_of_both_sides(self):
        publisher, source = self.publisher()
        node, there = self.forwarder("--from", source, "--stats")
        subscriber = self.start_parley("sub", there)
        publisher.write("x\n")
        subscriber.line()
        told = re.sub("[0-9a-f]{16}", "ID", node.stop().err)
        self.assertIn("stats: forwarder: forwarded 1 seen before 0 too far 0 lost 0\n"
                      "stats: from publisher ID: received 1 waiting 0 repeated 0 lost 0\n"
                      "stats: from publisher ID '': received 1 waiting 0 lost 0\n"
                      "stats: publisher ID: published 1 ", told)

    def test_a_forwarder_needs_both_sides(self):
        self.assert_fails(self.parley("forward", "--to", "ipc://*"), 1, "--from is required")
        self.assert_fails(self.parley("forward", "--from", "tcp://localhost:1"), 1,
                          "--to is required")

    def test_a_place_that_is_taken_is_an_error(self):
        _, there = self.forwarder("--from", "tcp://127.0.0.1:1")
        self.assertEqual(self.parley("forward", "--from", "tcp://127.0.0.1:1", "--to", there).code, 3)


if __name__ == "__main__":
    unittest.main()
