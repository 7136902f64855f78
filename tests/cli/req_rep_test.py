# SPDX-License-Identifier: MPL-2.0
import json
import signal
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def serving(self, *arguments):
        server = self.start_parley("rep", "tcp://127.0.0.1:0", *arguments)
        return server, server.bound()

    def test_rep_replies_with_its_text(self):
        _, there = self.serving("pong")
        self.assert_done(self.parley("req", there, "ping"), "pong\n")

    def test_rep_without_a_text_is_an_echo(self):
        _, there = self.serving()
        self.assert_done(self.parley("req", there, "hear me"), "hear me\n")

    def test_the_reply_may_be_empty_or_look_like_a_list(self):
        for text in ["", "{}", "[1,2]"]:
            _, there = self.serving(text)
            self.assert_done(self.parley("req", there, "ping"), text + "\n")

    def test_rep_prints_the_requests(self):
        server, there = self.serving("pong", "--count", 1)
        self.parley("req", there, "ping")
        self.assert_done(server.finish(), "ping\n")

    def test_rep_with_a_count_ends_after_its_last_reply_is_out(self):
        server, there = self.serving("--count", 2)
        self.assert_done(self.parley("req", there, stdin="one\ntwo\n"), "one\ntwo\n")
        self.assert_done(server.finish(), "one\ntwo\n")

    def test_req_sends_each_line_of_stdin(self):
        _, there = self.serving()
        self.assert_done(self.parley("req", there, stdin="a\nb\nc\n"), "a\nb\nc\n")

    def test_an_empty_request_is_one_too(self):
        _, there = self.serving("pong")
        self.assert_done(self.parley("req", there, ""), "pong\n")

    def test_req_prints_json(self):
        _, there = self.serving()
        self.assert_json_lines(self.parley("req", there, "ping", "--json").out, {"body": "ping"})

    def test_rep_prints_json(self):
        server = self.start_parley("rep", "tcp://127.0.0.1:0", "--json", "--count", 1)
        self.parley("req", json.loads(server.line())["bound"], "ping")
        self.assert_json_lines(server.line(), {"body": "ping"})

    def test_req_that_nobody_answers_in_time_ends_with_2(self):
        _, there = self.serving("--exec", "sleep 1000")
        self.assert_fails(self.parley("req", there, "hello?", "--timeout", "0.1"), 2,
                          f"no reply from {there} within 0.1 s")

    def test_req_where_nobody_is_ends_with_5(self):
        self.assert_fails(self.parley("req", "tcp://127.0.0.1:1", "hello?", "--timeout", "0.05"), 5,
                          "no server at tcp://127.0.0.1:1 within 0.05 s")

    def test_rep_times_out_when_nobody_asks(self):
        result = self.parley("rep", "ipc://*", "--timeout", "0.05")
        self.assertEqual((result.code, result.out), (2, ""))

    def test_an_interrupted_rep_is_done(self):
        server, _ = self.serving()
        self.assert_done(server.stop(signal.SIGTERM))

    def test_an_interrupted_req_is_not_done(self):
        waiting = self.start_parley("req", "bind:tcp://127.0.0.1:0", "hello?")
        waiting.bound()
        self.assertEqual(waiting.stop(signal.SIGINT).code, 130)


if __name__ == "__main__":
    unittest.main()
