# SPDX-License-Identifier: MPL-2.0
import json
import os
import struct
import time
import unittest

import zmq

from program import PATIENCE
from zmq_test import ZmqTest, where

MAGIC = b"\x01PR"


class Subscriber:
    """What docs/wire.md asks of a subscriber, by hand on an XSUB socket."""

    def __init__(self, socket, prefix, limit=100, start=0, start_value=0):
        self.socket = socket
        self.id = os.urandom(8)
        self.link = None
        self.said = None
        self.requests = 0
        self.expected = 1
        for topic in (MAGIC + b"s\x01" + self.id + struct.pack("!IQBBQ", limit, 1 << 20, 1, start,
                                                              start_value),
                      MAGIC + b"t\x01" + self.id + prefix,
                      prefix,
                      MAGIC + b"u\x01" + self.id):
            socket.send(b"\x01" + topic)

    def receive(self):
        """The next batch: (position, entry) for each that has one."""
        address, entries, *body = self.socket.recv_multipart()
        assert address[:13] == MAGIC + b"u\x01" + self.id and len(address) == 29
        self.link = address[13:21]
        position, = struct.unpack("!Q", address[21:])
        batch = []
        while entries:
            entry, entries = self.take_entry(entries, body)
            if entry != ("beat",):
                batch.append((position, entry))
                position += 1
        return batch

    def take_entry(self, rest, body):
        def take(form):
            nonlocal rest
            size = struct.calcsize(form)
            values, rest = struct.unpack(form, rest[:size]), rest[size:]
            return values if len(values) > 1 else values[0]

        def text(form):
            nonlocal rest
            size = take(form)
            value, rest = rest[:size], rest[size:]
            assert len(value) == size
            return value

        kind = take("!B")
        if kind == 1:
            flags, sequence = take("!BQ")
            assert flags & ~5 == 0
            topic = text("!H")
            return ("message", sequence, bool(flags & 1), topic,
                    body[0] if flags & 4 else text("!I")), rest
        if kind == 2:
            values = take("!BBQQQ")
            return ("lost", *values, text("!H")), rest
        if kind == 3:
            asked, publisher, _age, following, _urgent, window, heartbeat = take("!BQQQQIQ")
            assert not asked and publisher and window and heartbeat
            return ("joined", following), rest
        if kind == 4:
            return ("active", text("!H")), rest
        return ({5: "resumed", 6: "cut off", 7: "beat"}[kind],), rest

    def receive_until(self, last):
        """All entries up to that one, which come at one position after the other."""
        entries = []
        deadline = time.monotonic() + PATIENCE
        while not entries or entries[-1] != last:
            assert time.monotonic() < deadline, f"got {entries}, not {last}"
            for position, entry in self.receive():
                assert position == self.expected, f"{position} is not {self.expected}"
                self.expected += 1
                entries.append(entry)
        return entries

    def request(self, what, position):
        self.requests += 1
        topic = MAGIC + b"v\x01" + struct.pack("!B8s8sQQQI", what, self.id, self.link, position, 0, 0,
                                               self.requests)
        self.socket.send(b"\x01" + topic)
        if self.said:
            self.socket.send(b"\x00" + self.said)
        self.said = topic

    def acknowledge(self):
        self.request(1, self.expected - 1)


class Test(ZmqTest):
    def test_a_plain_sub_reads_our_publisher(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "news.sport", "2:1")
        subscriber = self.socket(zmq.SUB, connect=publisher.bound())
        subscriber.subscribe("news.")
        self.assertEqual(subscriber.recv_multipart()[:2], [b"news.sport", b"2:1"])
        self.assert_done(publisher.finish())

    def test_a_plain_sub_can_tell_gaps_by_the_third_frame(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t.{counter:2}", "{counter}",
                                      "--template", "--count", 4, "--wait", 2)
        there = publisher.bound()
        plain = self.socket(zmq.SUB, connect=there)
        plain.subscribe("t.")
        ours = self.start_parley("sub", there, "--json", "--count", 4)
        frames = [plain.recv_multipart() for _ in range(4)]
        self.assertEqual([each[:2] for each in frames],
                         [[b"t.1", b"1"], [b"t.2", b"2"], [b"t.1", b"3"], [b"t.2", b"4"]])
        received = [json.loads(line) for line in ours.finish().out.splitlines()]
        self.assertEqual([each["sequence"] for each in received], [1, 2, 3, 4])
        id = bytes.fromhex(received[0]["publisher"])
        self.assertEqual([each[2] for each in frames],
                         [b"\x01PRw\x01" + id + struct.pack("!QQ", sequence, of_topic)
                          for sequence, of_topic in ((1, 1), (2, 1), (3, 2), (4, 2))])

    def test_a_plain_sub_to_everything_sees_nothing_private(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "--wait", 3, "--history", 10)
        there = publisher.bound()
        plain = self.socket(zmq.SUB, connect=there)
        plain.subscribe("")
        ours = [self.start_parley("sub", there, prefix, "--last") for prefix in ("", "t")]
        publisher.write("".join(f"{number}\n" for number in range(100)))
        for number in range(100):
            self.assertEqual(plain.recv_multipart()[:2], [b"t", b"%d" % number])
            for each in ours:
                self.assertEqual(each.line(), f"t\t{number}")
        # Longer than a heartbeat: those to our subscribers are not for it.
        self.assertEqual(plain.poll(1500), 0)
        publisher.write("end\n")
        self.assertEqual(plain.recv_multipart()[:2], [b"t", b"end"])

    def test_a_plain_sub_to_private_topics_gets_what_is_for_nobody_else(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "x")
        there = publisher.bound()
        curious = self.socket(zmq.SUB, connect=there)
        curious.subscribe(b"\x01")
        ours = self.start_parley("sub", there, "--count", 1)
        self.assert_done(ours.finish(), "t\tx\n")
        self.assert_done(publisher.finish())

    def test_our_subscriber_reads_a_plain_xpub(self):
        publisher = self.socket(zmq.XPUB)
        subscriber = self.start_parley("sub", where(publisher), "news.", "--count", 2)
        self.wait_for_prefix(publisher, b"news.")
        publisher.send_multipart([b"weather", b"rain"])
        publisher.send_multipart([b"news.sport", b"2:1"])
        publisher.send_multipart([b"news.last", b""])
        self.assert_done(subscriber.finish(), "news.sport\t2:1\nnews.last\t\n")

    def test_our_subscriber_reads_a_plain_pub_and_says_so_in_its_books(self):
        publisher = self.socket(zmq.PUB)
        subscriber = self.start_parley("sub", where(publisher), "t", "--count", 3, "--stats")
        while subscriber.process.poll() is None:  # a PUB socket does not know who is there
            publisher.send_multipart([b"t", b"x"])
        result = subscriber.finish()
        self.assert_done(result, "t\tx\n" * 3)
        self.assertIn("stats: from plain publishers: received 3 ", result.err)

    def test_a_plain_publisher_may_leave_out_the_body(self):
        publisher = self.socket(zmq.XPUB)
        subscriber = self.start_parley("sub", where(publisher), "--count", 1, "--json")
        self.wait_for_prefix(publisher, b"")
        publisher.send(b"topic and all")
        self.assert_json_lines(subscriber.finish().out, {"topic": "topic and all", "body": ""})

    def wait_for_prefix(self, publisher, prefix):
        while publisher.recv() != b"\x01" + prefix:
            pass

    def test_our_publisher_learns_when_a_plain_sub_unsubscribes(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "a", "x", "--timeout", "0.5")
        subscriber = self.socket(zmq.SUB, connect=publisher.bound())
        subscriber.subscribe("b")
        subscriber.unsubscribe("b")
        self.assertEqual(publisher.finish().code, 2)

    def test_a_subscriber_made_by_hand_gets_entries(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t")
        by_hand = Subscriber(self.socket(zmq.XSUB, connect=publisher.bound()), b"t")
        publisher.write("one\ntwo\n" + "x" * 5000 + "\n")
        self.assertEqual(by_hand.receive_until(("message", 3, False, b"t", b"x" * 5000)),
                         [("joined", 1), ("active", b"t"),
                          ("message", 1, False, b"t", b"one"), ("message", 2, False, b"t", b"two"),
                          ("message", 3, False, b"t", b"x" * 5000)])
        by_hand.acknowledge()
        self.assert_done(publisher.finish())

    def test_a_subscriber_made_by_hand_has_what_it_did_not_acknowledge_once_more(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "--urgent")
        by_hand = Subscriber(self.socket(zmq.XSUB, connect=publisher.bound()), b"")
        publisher.write("one\ntwo\n")
        two = ("message", 2, True, b"t", b"two")
        by_hand.receive_until(two)
        by_hand.request(2, 4)  # after joined, active and one
        by_hand.expected = 4
        self.assertEqual(by_hand.receive_until(two), [two])
        by_hand.acknowledge()
        self.assert_done(publisher.finish())

    def test_a_subscriber_made_by_hand_gets_no_more_than_it_has_room_for(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t")
        socket = self.socket(zmq.XSUB, connect=publisher.bound())
        by_hand = Subscriber(socket, b"", limit=4)
        publisher.write("1\n2\n3\n4\n")
        by_hand.receive_until(("message", 2, False, b"t", b"2"))
        by_hand.acknowledge()
        by_hand.receive_until(("message", 4, False, b"t", b"4"))
        by_hand.request(4, by_hand.expected - 1)  # leaves
        self.assert_done(publisher.finish())

    def test_a_subscriber_made_by_hand_begins_in_the_history(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "t", "--history", 2)
        there = publisher.bound()
        witness = self.start_parley("sub", there, "--count", 3)
        publisher.write("1\n2\n3\n")
        self.assertEqual(witness.finish().code, 0)
        by_hand = Subscriber(self.socket(zmq.XSUB, connect=there), b"", start=3, start_value=1)
        self.assertEqual(by_hand.receive_until(("message", 3, False, b"t", b"3"))[2:],
                         [("lost", 0, 4, 1, 1, 1, b""), ("message", 2, False, b"t", b"2"),
                          ("message", 3, False, b"t", b"3")])


if __name__ == "__main__":
    unittest.main()
