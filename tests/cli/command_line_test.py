# SPDX-License-Identifier: MPL-2.0
import json
import os
import unittest

from program import ProgramTest

COMMANDS = ["pub", "sub", "forward", "req", "rep", "call", "serve", "push", "pull", "work", "queue", "peers", "doctor",
            "chat", "gateway", "keygen", "version"]


class Test(ProgramTest):
    def test_help_names_every_command(self):
        result = self.parley("--help")
        self.assertEqual(result.code, 0)
        for command in COMMANDS:
            self.assertRegex(result.out, rf"(?m)^  {command} ")

    def test_help_of_every_command_has_an_example_and_the_exit_codes(self):
        for command in COMMANDS:
            result = self.parley(command, "--help")
            self.assertEqual(result.code, 0, command)
            self.assertIn(f"Example:\n  parley {command}", result.out.replace("ls *.png | ", ""))
            self.assertIn("2 timed out", result.out)

    def test_a_missing_command_is_a_usage_error(self):
        self.assert_fails(self.parley(), 1, "A subcommand is required")

    def test_an_unknown_command_is_a_usage_error(self):
        self.assert_fails(self.parley("shout"), 1, "no such command: shout")

    def test_an_unknown_option_is_a_usage_error(self):
        self.assert_fails(self.parley("sub", "tcp://localhost:1", "--loud"), 1, "--loud")

    def test_a_missing_endpoint_is_a_usage_error(self):
        self.assert_fails(self.parley("sub"), 1, "ENDPOINT is required")

    def test_a_timeout_that_is_no_number_is_a_usage_error(self):
        self.assert_fails(self.parley("sub", "tcp://localhost:1", "--timeout", "soon"), 1, "soon")

    def test_a_malformed_endpoint_is_a_usage_error_that_says_what_is_wrong(self):
        self.assert_fails(self.parley("sub", "tcp://localhost"), 1, "the port is missing")
        self.assert_fails(self.parley("sub", "http://localhost:80"), 1,
                          "must be pipe, inproc, ipc or tcp")

    def test_connecting_to_a_wildcard_is_a_usage_error(self):
        self.assert_fails(self.parley("sub", "tcp://*:5555"), 1, "only bind takes a wildcard")

    def test_an_address_in_use_ends_with_3(self):
        taken = self.start_parley("pull", "bind:tcp://127.0.0.1:0").bound()
        self.assert_fails(self.parley("rep", taken), 3, "Address already in use")

    def test_bound_names_the_port_that_the_system_chose(self):
        endpoint = self.start_parley("rep", "tcp://127.0.0.1:0").bound()
        self.assertRegex(endpoint, r"^tcp://127\.0\.0\.1:[1-9][0-9]*$")

    def test_bound_is_an_object_on_stdout_with_json(self):
        program = self.start_parley("rep", "tcp://127.0.0.1:0", "--json")
        self.assertRegex(json.loads(program.line())["bound"], r"^tcp://127\.0\.0\.1:[1-9][0-9]*$")
        self.assertEqual(program.stop().err, "")

    def test_bound_names_the_path_that_was_chosen(self):
        program = self.start_parley("rep", "ipc://*")
        self.assertRegex(program.bound(), r"^ipc://.")
        program.stop()

    def test_version_prints_ours_and_the_one_of_libzmq(self):
        self.assertRegex(self.parley("version").out, r"^parley \d+\.\d+\.\d+ \(libzmq \d+\.\d+\.\d+\)\n$")

    def test_version_as_json(self):
        versions = json.loads(self.parley("version", "--json").out)
        self.assertEqual(list(versions), ["parley", "libzmq"])

    def test_an_unreadable_file_is_a_usage_error(self):
        self.assert_fails(self.parley("pub", "ipc://*", "t", "--file", "/no/such/file"), 1,
                          "/no/such/file: No such file")

    def test_a_closed_stdout_is_no_reason_to_write_elsewhere(self):
        shell = self.start("sh", "-c", f"{os.environ['PARLEY_PROGRAM']} version >&-")
        result = shell.finish()
        self.assertEqual((result.code, result.err), (0, ""))


if __name__ == "__main__":
    unittest.main()
