# SPDX-License-Identifier: MPL-2.0
import unittest

import zmq

from zmq_test import ZmqTest, where


class Test(ZmqTest):
    def test_a_plain_sub_reads_our_publisher(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "news.sport", "2:1")
        subscriber = self.socket(zmq.SUB, connect=publisher.bound())
        subscriber.subscribe("news.")
        self.assertEqual(subscriber.recv_multipart(), [b"news.sport", b"2:1"])
        self.assert_done(publisher.finish())

    def test_our_subscriber_reads_a_plain_publisher(self):
        publisher = self.socket(zmq.XPUB)
        subscriber = self.start_parley("sub", where(publisher), "news.", "--count", 2)
        self.assertEqual(publisher.recv(), b"\x01news.")
        publisher.send_multipart([b"weather", b"rain"])
        publisher.send_multipart([b"news.sport", b"2:1"])
        publisher.send_multipart([b"news.last", b""])
        self.assert_done(subscriber.finish(), "news.sport\t2:1\nnews.last\t\n")

    def test_a_plain_publisher_may_leave_out_the_body(self):
        publisher = self.socket(zmq.XPUB)
        subscriber = self.start_parley("sub", where(publisher), "--count", 1, "--json")
        self.assertEqual(publisher.recv(), b"\x01")
        publisher.send(b"topic and all")
        self.assert_json_lines(subscriber.finish().out, {"topic": "topic and all", "body": ""})

    def test_our_publisher_learns_when_a_plain_sub_unsubscribes(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "a", "x", "--timeout", "0.5")
        subscriber = self.socket(zmq.SUB, connect=publisher.bound())
        subscriber.subscribe("b")
        subscriber.unsubscribe("b")
        self.assertEqual(publisher.finish().code, 2)


if __name__ == "__main__":
    unittest.main()
