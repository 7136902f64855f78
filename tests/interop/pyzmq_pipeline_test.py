# SPDX-License-Identifier: MPL-2.0
import json
import unittest

import zmq

from program import PATIENCE
from zmq_test import ZmqTest, where


class Test(ZmqTest):
    def test_a_plain_pull_takes_tasks_of_our_source(self):
        source = self.start_parley("push", "--plain", "tcp://127.0.0.1:0", "one", "two")
        worker = self.socket(zmq.PULL, connect=source.bound())
        self.assertEqual([worker.recv_multipart(), worker.recv_multipart()], [[b"one"], [b"two"]])
        self.assert_done(source.finish())

    def test_our_source_connects_to_a_plain_pull(self):
        worker = self.socket(zmq.PULL)
        source = self.start_parley("push", "--plain", "connect:" + where(worker), "one", "two")
        self.assertEqual([worker.recv_multipart(), worker.recv_multipart()], [[b"one"], [b"two"]])
        self.assert_done(source.finish())

    def test_plain_pulls_share_the_tasks_of_our_source(self):
        source = self.start_parley("push", "--plain", "tcp://127.0.0.1:0")
        there = source.bound()
        workers = [self.socket(zmq.PULL, connect=there) for _ in range(2)]
        seen = set()
        for number in range(100_000):
            source.write(f"{number}\n")
            ready = zmq.select(workers, [], [], PATIENCE)[0]
            self.assertEqual(len(ready), 1)
            self.assertEqual(ready[0].recv(), str(number).encode())
            seen.add(ready[0])
            if len(seen) == 2:
                return
        self.fail("one worker did everything")

    def test_our_worker_takes_tasks_of_a_plain_push(self):
        source = self.socket(zmq.PUSH)
        worker = self.start_parley("pull", "--plain", where(source), "--count", 3)
        for task in (b"one", b"", b"three"):
            source.send(task)
        self.assert_done(worker.finish(), "one\n\nthree\n")

    def test_a_plain_push_connects_to_our_worker(self):
        worker = self.start_parley("pull", "--plain", "bind:tcp://127.0.0.1:0", "--count", 2)
        source = self.socket(zmq.PUSH, connect=worker.bound())
        for task in (b"one", b"two"):
            source.send(task)
        self.assert_done(worker.finish(), "one\ntwo\n")

    def test_work_runs_a_command_for_each_task_of_a_plain_push(self):
        source = self.socket(zmq.PUSH)
        worker = self.start_parley("work", "--plain", where(source), "--count", 2, "--json", "--exec",
                                   "tr a-z A-Z")
        for task in (b"one", b"two"):
            source.send(task)
        results = [json.loads(line)["result"] for line in worker.finish().out.splitlines()]
        self.assertEqual(results, ["ONE", "TWO"])


if __name__ == "__main__":
    unittest.main()
