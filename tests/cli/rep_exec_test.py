# SPDX-License-Identifier: MPL-2.0
import os
import signal
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def serving(self, command, *arguments):
        server = self.start_parley("rep", "tcp://127.0.0.1:0", "--exec", command, *arguments)
        return server, server.bound()

    def reply(self, command, request="", *arguments):
        _, there = self.serving(command, *arguments)
        result = self.parley("req", there, "-", "--whole", "--json", stdin=request)
        self.assertEqual(result.code, 0, result.err)
        return result.out

    def assert_error(self, command, reason, *arguments):
        self.assert_json_lines(self.reply(command, "", *arguments), {"frames": ["error", reason]})

    def test_the_command_reads_the_request_and_writes_the_reply(self):
        self.assert_json_lines(self.reply("tr a-z A-Z", "shout\nthis"), {"body": "SHOUT\nTHIS"})

    def test_the_reply_comes_without_the_last_line_end(self):
        self.assert_json_lines(self.reply("printf 'a\\n\\n'"), {"body": "a\n"})

    def test_a_request_of_several_frames_is_read_with_tabs_between(self):
        _, first = self.serving("exit 3")
        _, second = self.serving("cat")
        frames = self.parley("req", first, "x").out.rstrip("\n")
        self.assertEqual(frames, "error\tit ended with 3")
        self.assert_done(self.parley("req", second, frames), frames + "\n")

    def test_a_command_runs_for_each_request(self):
        _, there = self.serving("sed s/^/got:/")
        self.assert_done(self.parley("req", there, stdin="a\nb\n"), "got:a\ngot:b\n")

    def test_much_is_written_and_read_at_once(self):
        much = "0123456789" * 500_000
        self.assert_json_lines(self.reply("cat", much), {"body": much})

    def test_a_command_may_leave_its_request_unread(self):
        self.assert_json_lines(self.reply("echo done", "x" * 5_000_000), {"body": "done"})

    def test_a_command_that_fails_replies_with_an_error_and_its_stderr(self):
        self.assert_error("echo ignored; echo no such user >&2; exit 3", "no such user")

    def test_a_command_that_fails_silently_replies_how_it_ended(self):
        self.assert_error("exit 3", "it ended with 3")
        self.assert_error("kill -9 $$", "it was ended by the signal Killed")

    def test_its_stderr_is_on_ours_too(self):
        server, there = self.serving("echo working >&2")
        self.assert_done(self.parley("req", there, "x"), "\n")
        self.assertEqual(server.line("err"), "working")

    def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(self):
        server, there = self.serving("sleep 1000 & echo $! >&2; wait", "--exec-timeout", "0.2")
        self.assert_done(self.parley("req", there, "x"), "error\tit took longer than 0.2 s\n")
        self.assert_gone(int(server.line("err")))
        self.assert_done(self.parley("req", there, "x"), "error\tit took longer than 0.2 s\n")

    def test_what_a_command_leaves_running_does_not_hold_up_the_reply(self):
        server, there = self.serving("sleep 1000 & echo $! >&2; echo done")
        self.assert_done(self.parley("req", there, "x"), "done\n")
        os.kill(int(server.line("err")), signal.SIGKILL)

    def test_an_interrupted_rep_ends_its_command(self):
        server, there = self.serving("echo $$ >&2; sleep 1000")
        self.start_parley("req", there, "x")
        pid = int(server.line("err"))
        self.assertEqual(server.stop(signal.SIGTERM).code, 0)
        self.assert_gone(pid)

    def test_a_killed_rep_takes_its_command_along_with_all_that_it_started(self):
        server, there = self.serving("sleep 1000 & echo $! $$ >&2; sleep 1000; true")
        self.start_parley("req", there, "x")
        pids = server.line("err").split()
        server.process.kill()
        for pid in pids:
            self.assert_gone(int(pid))

    def test_a_command_may_end_its_own_process_group(self):
        self.assert_json_lines(self.reply("trap '' TERM; kill 0; echo done"), {"body": "done"})

    def test_signals_are_to_the_command_what_they_are_in_a_shell(self):
        server, there = self.serving("yes | head -1")
        self.assert_done(self.parley("req", there, "x"), "y\n")
        self.assertEqual(server.stop().err.count("\n"), 1)  # the bound line

    def test_the_command_inherits_no_files(self):
        self.assert_json_lines(self.reply("ls /proc/self/fd"), {"body": "0\n1\n2\n3"})

    def test_one_way_to_answer_excludes_the_others(self):
        self.assert_fails(self.parley("rep", "ipc://*", "pong", "--exec", "cat"), 1, "--exec")
        self.assert_fails(self.parley("rep", "ipc://*", "--rules", "r", "--exec", "cat"), 1, "--exec")
        self.assert_fails(self.parley("rep", "ipc://*", "--exec-timeout", "1"), 1, "--exec")


if __name__ == "__main__":
    unittest.main()
