# SPDX-License-Identifier: MPL-2.0
import unittest

import zmq

from zmq_test import ZmqTest, where


class Test(ZmqTest):
    def test_a_plain_pull_takes_tasks_of_our_source(self):
        source = self.start_parley("push", "--plain", "tcp://127.0.0.1:0", "one", "two")
        worker = self.socket(zmq.PULL, connect=source.bound())
        self.assertEqual([worker.recv_multipart(), worker.recv_multipart()], [[b"one"], [b"two"]])
        self.assert_done(source.finish())

    def test_our_worker_takes_tasks_of_a_plain_push(self):
        source = self.socket(zmq.PUSH)
        worker = self.start_parley("pull", "--plain", where(source), "--count", 3)
        for task in (b"one", b"", b"three"):
            source.send(task)
        self.assert_done(worker.finish(), "one\n\nthree\n")


if __name__ == "__main__":
    unittest.main()
