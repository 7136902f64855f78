# SPDX-License-Identifier: MPL-2.0
import os
import tempfile
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def rules(self, *lines):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "rules")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        return path

    def replies(self, path, *requests):
        there = self.start_parley("rep", "tcp://127.0.0.1:0", "--rules", path).bound()
        result = self.parley("req", there, stdin="".join(request + "\n" for request in requests))
        self.assertEqual(result.code, 0, result.err)
        return result.out.splitlines()

    def assert_refused(self, line, column, reason):
        """A file whose third line is wrong there."""
        path = self.rules('{"text": "fine", "reply": "fine"}', "", line)
        self.assert_fails(self.parley("rep", "ipc://*", "--rules", path), 1,
                          f"{path}:3:{column}: {reason}")

    def test_a_request_is_answered_by_the_rule_with_its_text(self):
        path = self.rules('{"text": "ping", "reply": "pong"}', '{"text": "", "reply": "nothing"}',
                          '{"text": "Grüße", "reply": "auch"}')
        self.assertEqual(self.replies(path, "ping", "", "Grüße"), ["pong", "nothing", "auch"])

    def test_a_prefix_fits_whatever_follows(self):
        path = self.rules('{"prefix": "get ", "reply": "got"}')
        self.assertEqual(self.replies(path, "get ", "get it", "forget it"),
                         ["got", "got", "error\tno rule fits this request"])

    def test_a_regex_fits_anywhere_and_its_groups_fill_the_reply(self):
        path = self.rules(r'{"regex": "([a-z]+)=([0-9]+)?", "reply": "\\2 is \\1, by \\0 \\\\"}')
        self.assertEqual(self.replies(path, "let x=5!", "x="), ["5 is x, by x=5 \\", " is x, by x= \\"])

    def test_only_a_regex_has_groups(self):
        path = self.rules(r'{"text": "a", "reply": "\\1"}')
        self.assertEqual(self.replies(path, "a"), ["\\1"])

    def test_the_first_rule_that_fits_answers(self):
        path = self.rules('{"text": "b", "reply": "text"}', '{"regex": "^b", "reply": "regex"}',
                          '{"prefix": "", "reply": "rest"}', '{"text": "c", "reply": "never"}')
        self.assertEqual(self.replies(path, "b", "bb", "c"), ["text", "regex", "rest"])

    def test_comments_and_empty_lines_are_skipped(self):
        path = self.rules("# a comment", "", "  # another", '  {"text": "a", "reply": "b"}')
        self.assertEqual(self.replies(path, "a"), ["b"])

    def test_a_request_that_no_rule_fits_gets_an_error_of_two_frames(self):
        there = self.start_parley("rep", "tcp://127.0.0.1:0", "--rules", self.rules()).bound()
        self.assert_json_lines(self.parley("req", there, "a", "--json").out,
                               {"frames": ["error", "no rule fits this request"]})

    def test_a_request_of_many_bytes_fits_no_regex_and_harms_nobody(self):
        path = self.rules('{"regex": "(x+x+)+y", "reply": "matched"}', '{"prefix": "x", "reply": "x"}')
        self.assertEqual(self.replies(path, "x" * 10_000_000, "x" * 8000, "xxy"),
                         ["x", "x", "matched"])

    def test_what_is_no_json_is_refused_with_its_place(self):
        self.assert_refused('{"text": "a", "reply": }', 24, "syntax error")
        self.assert_refused("ping pong", 1, "syntax error")
        self.assert_refused('["ping", "pong"]', 1, "expected a JSON object")

    def test_a_rule_that_makes_no_sense_is_refused_with_its_place(self):
        for line, column, reason in (
                ('{"text": "a", "replay": "b"}', 15, 'unknown key "replay"'),
                ('{"text": "a"}', 1, '"reply" is missing'),
                ('{"reply": "a"}', 1, '"text", "prefix" or "regex" is missing'),
                ('{"text": "a", "prefix": "a", "reply": "b"}', 15,
                 '"text" and "prefix" exclude each other'),
                ('{"text": "a", "reply": 5}', 15, '"reply" has to be a text'),
                ('{"regex": "(a", "reply": "b"}', 2, "Unmatched ( or \\("),
                (r'{"regex": "(a)", "reply": "\\2"}', 18, "the regex has no group \\2"),
                (r'{"regex": "(a)", "reply": "\\n"}', 18, "in the reply to a regex")):
            self.assert_refused(line, column, reason)

    def test_rules_that_cannot_be_read_are_a_usage_error(self):
        for path in ("/no/such/rules", "/"):
            self.assert_fails(self.parley("rep", "ipc://*", "--rules", path), 1,
                              f"cannot read {path}")

    def test_rules_stand_in_for_a_text(self):
        self.assert_fails(self.parley("rep", "ipc://*", "pong", "--rules", self.rules()), 1, "BODY")


if __name__ == "__main__":
    unittest.main()
