# SPDX-License-Identifier: MPL-2.0
import json
import os
import pty
import queue
import signal
import tempfile
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

    def journal(self):
        """The path of a file that is not there yet."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return os.path.join(directory.name, "tasks.db")

    def test_tasks_in_a_journal_go_on_after_push_was_killed(self):
        journal = self.journal()
        first = self.start_parley("push", "tcp://127.0.0.1:0", "--journal", journal)
        there = first.bound()
        first.write("".join(f"{number}\n" for number in range(100)))
        worker = self.start_parley("work", there, "--exec", "cat", "--json")
        for _ in range(10):
            worker.line()
        first.process.kill()
        first.process.wait()
        second = self.start_parley("push", there, "--journal", journal, "one more")
        self.assert_done(second.finish())
        worker.stop()
        results = {json.loads(line)["result"] for line in worker.seen["out"].decode().splitlines()}
        self.assertIn("one more", results)

    def test_a_journal_belongs_to_one_push_at_a_time(self):
        journal = self.journal()
        owner = self.start_parley("push", "tcp://127.0.0.1:0", "x", "--journal", journal)
        owner.bound()
        self.assert_fails(self.parley("push", "tcp://127.0.0.1:0", "y", "--journal", journal), 3,
                          f"process {owner.process.pid} has it")

    def test_a_file_that_is_no_journal_is_refused(self):
        journal = self.journal()
        with open(journal, "w", encoding="utf-8") as file:
            file.write("some text, and no journal\n" * 100)
        self.assert_fails(self.parley("push", "tcp://127.0.0.1:0", "y", "--journal", journal), 1, journal)

    def test_urgent_tasks_overtake(self):
        journal = self.journal()
        for priority, body in ((1, "low"), (9, "high"), (5, "middle")):
            self.assertEqual(self.parley("push", "tcp://127.0.0.1:0", body, "--priority", priority,
                                         "--journal", journal, "--timeout", "0").code, 2)
        source = self.start_parley("push", "tcp://127.0.0.1:0", "--journal", journal)
        worker = self.start_parley("pull", source.bound(), "--count", 3)
        self.assert_done(worker.finish(), "high\nmiddle\nlow\n")
        self.assert_done(source.finish())

    def test_a_task_waits_for_its_time(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "x", "--delay", "1h")
        worker = self.start_parley("pull", source.bound(), "--timeout", "0.5")
        self.assertEqual((worker.finish().code, worker.seen["out"]), (2, b""))

    def test_a_task_that_no_worker_begins_in_time_is_dropped_and_told(self):
        self.assert_fails(self.parley("push", "tcp://127.0.0.1:0", "x", "--deadline", "10ms"), 4,
                          "1 task expired")

    def test_a_limit_holds_up_those_who_push(self):
        self.assert_fails(self.parley("push", "tcp://127.0.0.1:0", "a", "b", "--limit", 1, "--timeout",
                                      "0.05"), 2, "there was no room")

    def test_tasks_for_a_name_are_only_for_that_worker(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "a", "b", "--to", "printer")
        there = source.bound()
        other = self.start_parley("pull", there)
        printer = self.start_parley("work", there, "--name", "printer", "--exec", "cat", "--json")
        self.assert_done(source.finish())
        self.assert_done(other.stop())
        self.assertEqual(len([printer.line(), printer.line()]), 2)

    def test_push_tells_what_failed_too_often(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "good", "bad", "--attempts", 2)
        worker = self.start_parley("work", source.bound(), "--exec", "grep -v bad", "--json")
        result = source.finish()
        self.assertEqual(result.code, 4)
        self.assertIn("1 task failed too often; the first: it ended with 1", result.err)
        failures = [line for line in (json.loads(worker.line()) for _ in range(3)) if "failure" in line]
        self.assertEqual([line["attempt"] for line in failures], [1, 2])

    def test_a_long_run_shows_how_far_it_is_on_a_terminal(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        source = self.start_parley("push", "ipc://*", "a", "b", stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"0/2 done, 0 workers" not in shown:
            shown += os.read(ours, 4096)
        there = shown.split()[1].decode()
        self.start_parley("pull", there)
        self.assert_done(source.finish())


if __name__ == "__main__":
    unittest.main()
