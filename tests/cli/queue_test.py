# SPDX-License-Identifier: MPL-2.0
import json
import os
import tempfile
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.journal = os.path.join(directory.name, "tasks.db")

    def queue(self, *arguments):
        return self.parley("queue", *arguments)

    def leave(self, *arguments):
        """Leaves waiting tasks in the journal."""
        self.assertEqual(self.parley("push", "ipc://*", *arguments, "--journal", self.journal, "--timeout",
                                     0).code, 2)

    def bury(self, *bodies):
        """Leaves dead letters in the journal."""
        source = self.start_parley("push", "tcp://127.0.0.1:0", *bodies, "--journal", self.journal,
                                   "--attempts", 1)
        worker = self.start_parley("work", source.bound(), "--exec", "echo no such user >&2; exit 1")
        self.assertEqual(source.finish().code, 4)
        self.assert_done(worker.stop())

    def numbers(self, *arguments):
        result = self.queue("list", self.journal, "--json", *arguments)
        self.assertEqual(result.code, 0, result.err)
        return [(line["number"], line["state"]) for line in map(json.loads, result.out.splitlines())]

    def do_all(self):
        """What a worker gets that does everything."""
        source = self.start_parley("push", "tcp://127.0.0.1:0", "--journal", self.journal)
        worker = self.start_parley("pull", source.bound())
        code = source.finish().code
        return code, worker.stop().out.splitlines()

    def test_list_prints_a_line_for_each_task(self):
        self.bury("bad")
        self.leave("good", "--key", "k", "--priority", 3)
        self.assert_done(self.queue("list", self.journal), "1\tdead\t1\t\tno such user\n2\twaiting\t0\tk\t\n")
        self.assertEqual(self.numbers("--state", "dead"), [(1, "dead")])
        self.assertEqual(self.numbers("--state", "waiting"), [(2, "waiting")])

    def test_show_prints_a_task_with_its_body(self):
        self.leave("the body", "--key", "k", "--to", "printer", "--priority", 3)
        self.assert_done(self.queue("show", self.journal, 1),
                         "number: 1\nstate: waiting\nkey: k\nto: printer\npriority: 3\nattempts: 0\n"
                         "failure: \n\nthe body\n")
        self.assert_json_lines(self.queue("show", self.journal, 1, "--json").out,
                               {"number": 1, "state": "waiting", "key": "k", "to": "printer", "priority": 3,
                                "attempts": 0, "failure": "", "body": "the body"})

    def test_export_prints_every_task_as_json(self):
        self.bury("bad")
        self.leave("good")
        exported = self.queue("export", self.journal)
        self.assertEqual(exported.code, 0)
        self.assertEqual([(line["number"], line["state"], line["body"])
                          for line in map(json.loads, exported.out.splitlines())],
                         [(1, "dead", "bad"), (2, "waiting", "good")])

    def test_a_body_that_is_no_text_is_exported_in_base64(self):
        body = os.path.join(os.path.dirname(self.journal), "body")
        with open(body, "wb") as file:
            file.write(b"\xff\xfe")
        self.leave("--file", body, "--whole")
        self.assertEqual(json.loads(self.queue("export", self.journal).out)["body_base64"], "//4=")

    def test_a_dead_letter_that_is_retried_is_dealt_again(self):
        self.bury("a", "b")
        self.assert_done(self.queue("retry", self.journal, 1, 2))
        self.assertEqual(self.numbers(), [(1, "waiting"), (2, "waiting")])
        self.assertEqual(self.do_all(), (0, ["a", "b"]))

    def test_a_dead_letter_that_is_dropped_is_gone(self):
        self.bury("a", "b")
        self.assert_done(self.queue("drop", self.journal, 1))
        self.assertEqual(self.numbers(), [(2, "dead")])
        self.assertEqual(self.do_all(), (4, []))

    def test_only_dead_letters_are_retried_and_dropped(self):
        self.leave("x")
        for verb in ("retry", "drop"):
            self.assert_fails(self.queue(verb, self.journal, 1), 1, "there is no dead letter 1")
        self.assertEqual(self.numbers(), [(1, "waiting")])

    def test_a_number_that_is_not_there_is_refused(self):
        self.leave("x")
        self.assert_fails(self.queue("show", self.journal, 7), 1, "there is no task 7")

    def test_a_file_that_is_not_there_is_refused_and_not_made(self):
        self.assert_fails(self.queue("list", self.journal), 1, "No such file")
        self.assertEqual(os.listdir(os.path.dirname(self.journal)), [])

    def test_the_journal_of_a_running_source_is_refused(self):
        source = self.start_parley("push", "tcp://127.0.0.1:0", "x", "--journal", self.journal)
        source.bound()
        self.assert_fails(self.queue("list", self.journal), 3, f"process {source.process.pid} has it")

    def test_salvage_saves_what_can_be_read_of_a_damaged_file(self):
        self.leave(*(f"task {number} " + "x" * 300 for number in range(500)))
        with open(self.journal, "r+b") as file:
            file.seek(64 * 1024)
            file.write(os.urandom(8192))
        refused = self.queue("export", self.journal)
        self.assertEqual(refused.code, 1)
        self.assertIn("damaged", refused.err)
        saved = self.queue("export", "--salvage", self.journal)
        bodies = [json.loads(line)["body"] for line in saved.out.splitlines()]
        self.assertEqual(saved.code, 0)
        self.assertIn(f"read {len(bodies)} of 500 tasks", saved.err)
        self.assertTrue(400 < len(bodies) < 500, len(bodies))
        self.assertTrue(all(body.startswith("task ") for body in bodies))

    def managed(self, *bodies):
        """A source that waits for more, and whose bodies all fail; and where it is managed."""
        source = self.start_parley("push", "tcp://127.0.0.1:0", "--attempts", 1, "--manage",
                                   "tcp://127.0.0.1:0")
        there, manager = source.bound(), source.bound()
        worker = self.start_parley("work", there, "--exec", "exit 1")
        for number, body in enumerate(bodies, 1):
            source.write(body + "\n")
            self.assertIn(f"task {number} failed", worker.line("err"))
        # It is told before the source hears of it.
        self.await_statistics(manager, dead_letters=len(bodies))
        self.assert_done(worker.stop())
        return source, there, manager

    def await_statistics(self, manager, **wanted):
        for _ in range(200):
            program = self.start_parley("call", manager, "queue.statistics")
            figures = json.loads(program.finish().out)
            program.close()
            if all(figures[name] == number for name, number in wanted.items()):
                return
        self.fail(f"the figures stay {figures}")

    def test_the_dead_letters_of_a_running_source_are_listed_shown_and_exported(self):
        _, _, manager = self.managed("a", "b")
        self.assert_done(self.queue("list", manager),
                         "1\tdead\t1\t\tit ended with 1\n2\tdead\t1\t\tit ended with 1\n")
        self.assertEqual(json.loads(self.queue("show", manager, 2, "--json").out)["body"], "b")
        self.assertEqual([json.loads(line)["body"]
                          for line in self.queue("export", manager).out.splitlines()], ["a", "b"])

    def test_the_dead_letters_of_a_running_source_are_retried_and_dropped(self):
        source, there, manager = self.managed("a", "b", "c")
        self.assert_done(self.queue("drop", manager, 2))
        self.assert_done(self.queue("retry", manager, 1, 3))
        self.assert_fails(self.queue("drop", manager, 2), 1, "there is no dead letter 2")
        worker = self.start_parley("pull", there, "--count", 2)
        self.assert_done(worker.finish(), "a\nc\n")
        self.assert_done(source.finish())

    def test_the_figures_of_a_running_source_are_methods(self):
        source, there, manager = self.managed()
        self.start_parley("work", there, "--name", "printer", "--exec", "cat")
        source.write("x\n")
        self.await_statistics(manager, done=1, accepted=1)
        workers = json.loads(self.parley("call", manager, "queue.workers").out)
        self.assertEqual([(each["name"], each["done"]) for each in workers if each["name"]], [("printer", 1)])

    def test_nobody_at_the_endpoint_is_told(self):
        self.assert_fails(self.queue("list", "ipc:///no/such/place", "--timeout", "0.05"), 5, "no server")


if __name__ == "__main__":
    unittest.main()
