# SPDX-License-Identifier: MPL-2.0
import json
import queue
import signal
import unittest

from program import PATIENCE, ProgramTest


class Test(ProgramTest):
    def test_push_hands_its_tasks_to_a_worker(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "one", "two", "three")
        worker = self.start_parley("pull", source.bound(), "--count", 3)
        self.assert_done(worker.finish(), "one\ntwo\nthree\n")
        self.assert_done(source.finish())

    def test_push_does_not_end_before_its_tasks_are_handed_over(self):
        tasks = "".join(f"task {n}\n" for n in range(20_000))
        worker = self.start_parley("pull", "bind:tcp://127.0.0.1:0", "--count", 20_000)
        self.assert_done(self.parley("push", "connect:" + worker.bound(), stdin=tasks))
        self.assert_done(worker.finish(), tasks)

    def test_workers_share_the_tasks(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0")
        there = source.bound()
        workers = [self.start_parley("pull", there) for _ in range(2)]
        done = queue.Queue()
        for worker in workers:
            worker.lines["out"] = done
        # One at a time, until the second worker is there and gets its first.
        for number in range(100_000):
            source.write(f"{number}\n")
            self.assertEqual(done.get(timeout=PATIENCE), str(number))
            if all(worker.seen["out"] for worker in workers):
                return
        self.fail("one worker did everything")

    def test_push_without_a_worker_times_out(self):
        self.assert_fails(self.parley("push", "ipc://*", "x", "--timeout", "0.05"), 2,
                          "not everything was done at ipc://* within 0.05 s")

    def test_push_that_waits_for_a_worker_ends_on_sigint(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "x")
        source.bound()
        self.assertEqual(source.stop(signal.SIGINT).code, 130)

    def test_pull_times_out_when_there_are_too_few_tasks(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "only one")
        result = self.parley("pull", source.bound(), "--count", 2, "--timeout", 1)
        self.assertEqual((result.code, result.out), (2, "only one\n"))

    def test_pull_prints_json(self):
        worker = self.start_parley("pull", "bind:tcp://127.0.0.1:0", "--count", 1, "--json")
        bound = json.loads(worker.line())["bound"]
        self.parley("push", "connect:" + bound, "a task")
        self.assert_json_lines(worker.line(), {"body": "a task"})

    def test_an_interrupted_pull_is_done(self):
        worker = self.start_parley("pull", "bind:tcp://127.0.0.1:0")
        worker.bound()
        self.assert_done(worker.stop(signal.SIGINT))

    def test_bodies_are_taken_as_they_stand(self):
        bodies = ["[1, 2]", "{}", "[]", "%%", "", "a,b", "'quoted'", "\\n", "-"]
        source = self.start_parley("push", "tcp://127.0.0.1:0", *bodies)
        worker = self.start_parley("pull", source.bound(), "--count", len(bodies))
        self.assert_done(worker.finish(), "".join(f"{body}\n" for body in bodies))

    def test_a_body_may_begin_with_a_dash_behind_two_dashes(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "--", "--count", "-5")
        worker = self.start_parley("pull", source.bound(), "--count", 2)
        self.assert_done(worker.finish(), "--count\n-5\n")


if __name__ == "__main__":
    unittest.main()
