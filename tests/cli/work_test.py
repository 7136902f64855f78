# SPDX-License-Identifier: MPL-2.0
import json
import os
import stat
import tempfile
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def directory(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        return made.name

    def push(self, *arguments):
        source = self.start_parley("push", "tcp://127.0.0.1:0", *arguments)
        return source, source.bound()

    def work(self, there, command, *arguments):
        return self.start_parley("work", there, "--exec", command, "--json", *arguments)

    def test_work_runs_a_command_for_each_task_that_reads_it(self):
        source, there = self.push("one", "two", "three")
        worker = self.work(there, "tr a-z A-Z", "--count", 3)
        self.assert_done(source.finish())
        self.assert_json_lines(worker.finish().out,
                               *({"task": number, "attempt": 1, "result": text}
                                 for number, text in enumerate(("ONE", "TWO", "THREE"), 1)))

    def test_the_command_knows_the_task_by_its_environment(self):
        source, there = self.push("x", "--key", "customer 7")
        worker = self.work(there, 'echo "$PARLEY_TASK $PARLEY_ATTEMPT $PARLEY_KEY"')
        self.assertEqual(json.loads(worker.line())["result"], "1 1 customer 7")
        self.assert_done(source.finish())

    def test_a_command_that_fails_is_run_again_as_the_next_attempt(self):
        source, there = self.push("x", "--attempts", 3)
        worker = self.work(there, "test $PARLEY_ATTEMPT = 3")
        self.assert_done(source.finish())
        self.assertEqual([json.loads(worker.line())["attempt"] for _ in range(3)], [1, 2, 3])

    def test_without_json_only_failures_are_told(self):
        source, there = self.push("x", "--attempts", 1)
        worker = self.start_parley("work", there, "--exec", "echo no such picture >&2; exit 1")
        self.assertEqual(source.finish().code, 4)
        result = worker.stop()
        self.assert_done(result)
        self.assertIn("parley: task 1 failed: no such picture", result.err)

    def test_many_commands_run_at_once(self):
        meeting = os.path.join(self.directory(), "meeting")
        os.mkfifo(meeting)
        source, there = self.push("a", "b")
        # Either end of the fifo waits until the other is opened.
        self.work(there, f"read side; if test $side = a; then echo hello > {meeting}; else cat {meeting}; fi",
                  "-j", 2)
        self.assert_done(source.finish())

    def test_a_command_that_takes_too_long_fails(self):
        source, there = self.push("x", "--attempts", 1)
        self.work(there, "sleep 1000", "--exec-timeout", "0.1")
        result = source.finish()
        self.assertEqual(result.code, 4)
        self.assertIn("took longer", result.err)

    def test_an_interrupted_worker_gives_its_task_back(self):
        source, there = self.push("x", "--attempts", 1)
        first = self.work(there, "echo begun >&2; sleep 1000")
        self.assertEqual(first.line("err"), "begun")
        self.assert_done(first.stop())
        second = self.work(there, "cat")
        self.assertEqual(json.loads(second.line()), {"task": 1, "attempt": 1, "result": "x"})
        self.assert_done(source.finish())

    def test_the_task_of_a_killed_worker_goes_to_the_next(self):
        source, there = self.push("x", "y")
        first = self.work(there, "echo begun >&2; exec sleep 1000")
        self.assertEqual(first.line("err"), "begun")
        first.process.kill()
        second = self.work(there, "cat")
        self.assert_done(source.finish())
        self.assertEqual(sorted(json.loads(second.line())["result"] for _ in range(2)), ["x", "y"])

    def test_the_command_of_a_killed_worker_goes_with_it(self):
        _, there = self.push("x")
        worker = self.work(there, "sleep 1000 & echo $! $$ >&2; sleep 1000; true")
        pids = worker.line("err").split()
        worker.process.kill()
        for pid in pids:
            self.assert_gone(int(pid))

    def test_once_does_not_do_a_task_that_comes_again(self):
        directory = self.directory()
        journal, once, saved = (os.path.join(directory, name) for name in ("tasks.db", "done.db", "saved"))
        self.assertEqual(self.parley("push", "ipc://*", "x", "--journal", journal, "--timeout", 0).code, 2)
        with open(journal, "rb") as file:
            before = file.read()
        done = 0
        for _ in range(2):
            with open(journal, "wb") as file:  # as if the source had died before it heard of the answer
                file.write(before)
            source, there = self.push("--journal", journal)
            worker = self.start_parley("work", there, "--once", once, "--exec", f"cat >> {saved}")
            self.assert_done(source.finish())
            self.assert_done(worker.stop())
            done += 1
        with open(saved, encoding="utf-8") as file:
            self.assertEqual((done, file.read()), (2, "x"))

    def test_a_worker_may_bind_and_the_source_connect(self):
        worker = self.start_parley("work", "bind:tcp://127.0.0.1:0", "--exec", "cat")
        self.assert_done(self.parley("push", "connect:" + worker.bound(), "x"))

    def test_the_thumbnails_example_makes_a_small_picture_of_each(self):
        directory = self.directory()
        pictures = [f"picture {number}.png" for number in range(20)]
        for name in pictures:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(f"this is {name}")
        parley = os.environ["PARLEY_PROGRAM"]
        example = self.start(
            os.path.join(os.environ["PARLEY_EXAMPLES"], "thumbnails"), cwd=directory,
            env={**os.environ, "CONVERT": "cp", "PATH": os.path.dirname(parley) + ":" + os.environ["PATH"]})
        self.assert_done(example.finish())
        self.assertEqual(sorted(os.listdir(os.path.join(directory, "small"))), sorted(pictures))
        self.assertTrue(os.stat(os.path.join(directory, "small", pictures[0])).st_mode & stat.S_IRUSR)


if __name__ == "__main__":
    unittest.main()
