# SPDX-License-Identifier: MPL-2.0
import json
import os
import signal
import tempfile
import time
import unittest

from program import PATIENCE, ProgramTest


class Test(ProgramTest):
    def serving(self, *arguments):
        server = self.start_parley("serve", "tcp://127.0.0.1:0", *arguments)
        return server, server.bound()

    def rules(self, *lines):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "rules")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        return path

    def assert_gone(self, pid):
        end = time.monotonic() + PATIENCE
        while os.path.exists(f"/proc/{pid}"):
            self.assertLess(time.monotonic(), end, "the command runs on")

    def assert_refused(self, reason, *arguments):
        self.assert_fails(self.parley("serve", "ipc://*", *arguments), 1, reason)

    def test_a_command_gets_the_arguments_as_json_and_its_output_is_the_result(self):
        _, there = self.serving("--method", "echo=cat")
        self.assert_done(self.parley("call", there, "echo", 1, "[true, null]", "Grüße"),
                         '[1,[true,null],"Grüße"]\n')
        self.assert_done(self.parley("call", there, "echo"), "[]\n")
        self.assert_done(self.parley("call", there, "echo", "a=1", "b=x"), '{"a":1,"b":"x"}\n')

    def test_output_that_is_no_json_is_a_text_and_none_is_null(self):
        _, there = self.serving("--method", "now=echo half past ten", "--method", "nothing=true")
        self.assert_done(self.parley("call", there, "now"), '"half past ten"\n')
        self.assert_done(self.parley("call", there, "nothing"), "null\n")

    def test_call_prints_the_result_as_an_object_with_json(self):
        _, there = self.serving("--method", "echo=cat")
        self.assert_json_lines(self.parley("call", there, "echo", "--json").out, {"result": []})

    def test_a_file_names_results_and_commands(self):
        _, there = self.serving("--rules", self.rules(
            "# methods", '{"method": "version", "result": {"major": 1, "tags": []}}',
            '{"method": "echo", "exec": "cat"}', '{"method": "nothing", "result": null}'))
        self.assert_done(self.parley("call", there, "version"), '{"major":1,"tags":[]}\n')
        self.assert_done(self.parley("call", there, "echo", 5), "[5]\n")
        self.assert_done(self.parley("call", there, "nothing"), "null\n")

    def test_a_command_that_fails_is_an_error_with_its_stderr(self):
        server, there = self.serving("--method", "find=echo no such user >&2; exit 3")
        self.assert_fails(self.parley("call", there, "find", "me"), 4,
                          "command_failed: no such user")
        self.assertEqual(server.line("err"), "no such user")

    def test_a_command_that_takes_too_long_is_an_error(self):
        _, there = self.serving("--method", "wait=sleep 1000", "--exec-timeout", "0.1")
        self.assert_fails(self.parley("call", there, "wait"), 4, "it took longer than 0.1 s")

    def test_a_command_that_begins_to_write_json_and_fails_to_is_an_error(self):
        _, there = self.serving("--method", "half=echo '[1,'", "--method", "deep=yes '[' | head -1000")
        self.assert_fails(self.parley("call", there, "half"), 4, "no JSON at column 4")
        self.assert_fails(self.parley("call", there, "deep"), 4, "nested too deep")

    def test_an_unknown_method_is_an_error_that_names_it(self):
        _, there = self.serving("--method", "echo=cat")
        self.assert_fails(self.parley("call", there, "shout"), 4, "shout")

    def test_as_many_calls_as_workers_run_at_once(self):
        # Each waits for the other.
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        fifo = os.path.join(directory.name, "fifo")
        os.mkfifo(fifo)
        _, there = self.serving("--workers", 2, "--method", f"say=echo hello > {fifo}",
                                "--method", f"hear=cat {fifo}")
        hearing = self.start_parley("call", there, "hear")
        self.assert_done(self.parley("call", there, "say"), "null\n")
        self.assert_done(hearing.finish(), '"hello"\n')

    def test_an_interrupted_serve_is_done_and_ends_its_commands(self):
        server, there = self.serving("--method", "wait=echo running >&2; sleep 1000")
        self.start_parley("call", there, "wait")
        self.assertEqual(server.line("err"), "running")
        self.assertEqual(server.stop(signal.SIGINT).code, 0)

    def test_an_interrupted_call_is_not_done(self):
        server, there = self.serving("--method", "wait=echo running >&2; sleep 1000")
        waiting = self.start_parley("call", there, "wait")
        self.assertEqual(server.line("err"), "running")
        self.assertEqual(waiting.stop(signal.SIGINT).code, 130)

    def test_a_call_that_nobody_answers_in_time_ends_with_2(self):
        _, there = self.serving("--method", "wait=sleep 1000")
        self.assert_fails(self.parley("call", there, "wait", "--timeout", "0.1"), 2,
                          f"no reply from {there} within 0.1 s")

    def test_a_call_where_nobody_is_ends_with_5(self):
        self.assert_fails(self.parley("call", "tcp://127.0.0.1:1", "f", "--timeout", "0.05"), 5,
                          "no server at tcp://127.0.0.1:1 within 0.05 s")

    def test_a_call_whose_server_dies_of_it_ends_with_6(self):
        _, there = self.serving("--method", "die=kill -9 $PPID")
        self.assert_fails(self.parley("call", there, "die"), 6, "went away while it had the call")

    def test_a_call_that_is_too_much_ends_with_7(self):
        server, there = self.serving("--queue", 1, "--method", "wait=echo running >&2; sleep 1000")
        self.start_parley("call", there, "wait")
        self.assertEqual(server.line("err"), "running")
        # One of them waits in line, the other is refused.
        calls = [self.start_parley("call", there, "wait") for _ in range(2)]
        end = time.monotonic() + PATIENCE
        while not (refused := [call for call in calls if call.process.poll() is not None]):
            self.assertLess(time.monotonic(), end, "neither is refused")
        self.assert_fails(refused[0].finish(), 7, "has too much to do; try again in")

    def test_a_command_ends_when_its_caller_gives_up(self):
        server, there = self.serving("--method", "wait=echo $$ >&2; sleep 1000", "--exec-timeout", 1000)
        self.assertEqual(self.parley("call", there, "wait", "--timeout", "0.2").code, 2)
        self.assert_gone(int(server.line("err")))

    def test_broken_json_is_a_usage_error_with_its_place(self):
        for word, column in (("[1,", 4), ('{"a" 5}', 6), ('"open', 6)):
            self.assert_fails(self.parley("call", "tcp://127.0.0.1:1", "f", word), 1,
                              f"'{word}', column {column}: ")
            self.assert_fails(self.parley("call", "tcp://127.0.0.1:1", "f", "name=" + word), 1,
                              f"'{word}', column {column}: ")

    def test_either_all_arguments_have_names_or_none(self):
        self.assert_fails(self.parley("call", "tcp://127.0.0.1:1", "f", "5", "a=5"), 1,
                          "all arguments a name, or none")
        self.assert_fails(self.parley("call", "tcp://127.0.0.1:1", "f", "a=1", "a=2"), 1,
                          "the second value of that name")

    def test_a_call_without_a_method_is_a_usage_error(self):
        self.assert_fails(self.parley("call", "tcp://127.0.0.1:1"), 1, "METHOD is required")

    def test_methods_that_make_no_sense_are_a_usage_error(self):
        self.assert_refused("there is no method")
        self.assert_refused("expected NAME=COMMAND", "--method", "cat")
        self.assert_refused("the second of that name", "--method", "f=cat", "--method", "f=true")

    def test_a_file_of_methods_that_makes_no_sense_is_refused_with_its_place(self):
        for line, column, reason in (
                ('{"method": "f", "value": 1}', 17, 'unknown key "value"'),
                ('{"method": "f"}', 1, '"exec" or "result" is missing'),
                ('{"result": 1}', 1, '"method" is missing'),
                ('{"method": "f", "result": 1e999}', 1, "a number is out of range"),
                ('{"method": "g", "result": 1}', 2, "the second method of that name")):
            path = self.rules('{"method": "g", "result": 1}', line)
            self.assert_refused(f"{path}:2:{column}: {reason}", "--rules", path)

    def test_serve_announces_what_it_binds_as_json(self):
        server = self.start_parley("serve", "tcp://127.0.0.1:0", "--json", "--method", "echo=cat")
        there = json.loads(server.line())["bound"]
        self.assert_done(self.parley("call", there, "echo", 1), "[1]\n")


if __name__ == "__main__":
    unittest.main()
