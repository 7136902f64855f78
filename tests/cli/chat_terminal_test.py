# SPDX-License-Identifier: MPL-2.0
"""People at terminals, as tmux has them: what they type, and what they see."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import unittest

from lan_test import LanTest
from program import PATIENCE


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class Test(LanTest):
    def setUp(self):
        super().setUp()
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.addCleanup(self.tmux, "kill-server", check=False)

    def tmux(self, *words, check=True):
        result = subprocess.run(["tmux", "-S", os.path.join(self.home, "tmux"), "-f", "/dev/null", *words],
                                capture_output=True, text=True, check=check, timeout=PATIENCE)
        return result.stdout

    def open(self, name, *arguments, environment="NO_COLOR=1", size=(60, 20)):
        """A person's terminal with a chat in it."""
        command = shlex.join([os.environ["PARLEY_PROGRAM"], "chat", "--name", name,
                              *(str(word) for word in self.lan()), *arguments])
        self.tmux("new-session", "-d", "-s", name, "-x", str(size[0]), "-y", str(size[1]),
                  f"env LC_ALL=C.UTF-8 HOME={self.home} XDG_STATE_HOME={self.home} {environment} {command}; "
                  "echo ended with $?; exec cat")

    def type(self, name, *keys):
        self.tmux("send-keys", "-t", name, *keys)

    def screen(self, name):
        """The lines with something on them; times of day are 00:00."""
        lines = self.tmux("capture-pane", "-p", "-t", name).split("\n")
        return [re.sub(r"^\d\d:\d\d ", "00:00 ", line.rstrip()) for line in lines if line.strip()]

    def sees(self, name, *expected):
        """Waits until the last lines of the screen are these."""
        self.wait(name, lambda lines: lines[-len(expected):] == list(expected), expected)

    def wait(self, name, is_so, expected):
        end = time.monotonic() + PATIENCE
        while not is_so(self.screen(name)):
            if time.monotonic() > end:
                self.fail(f"{name} sees\n" + "\n".join(self.screen(name)) + f"\nexpected: {expected}")
            time.sleep(0.02)  # between looks: a screen tells nobody

    def two_people(self, **options):
        self.open("ann", **options)
        self.open("bob", **options)
        for name, other in (("ann", "bob"), ("bob", "ann")):
            found = re.compile(f"00:00 {other} (is in|entered) lobby")
            self.wait(name, lambda lines: any(map(found.match, lines)) and lines[-1] == "lobby>", other)

    def test_chat_at_a_terminal_shows_both_the_same(self):
        self.two_people()
        self.type("ann", "hello Bob", "Enter")
        self.sees("bob", "00:00 [lobby] ann: hello Bob", "lobby>")
        self.type("bob", "你好, Grüße 👋", "Enter")
        both = ["00:00 [lobby] ann: hello Bob", "00:00 [lobby] bob: 你好, Grüße 👋", "lobby>"]
        self.sees("ann", *both)
        self.sees("bob", *both)

    def test_chat_at_a_terminal_keeps_a_half_typed_line_whole(self):
        self.two_people()
        half = "half of a line with 好 that is so long that it takes two rows, and"
        self.type("ann", half, "Left", "Left", "Left")
        self.wait("ann", lambda lines: lines[-1].endswith("and"), half)
        self.type("bob", "now?", "Enter", "/msg ann psst", "Enter")
        self.sees("ann", "00:00 [lobby] bob: now?", "00:00 bob, to you alone: psst",
                  "lobby> half of a line with 好 that is so long that it takes", "two rows, and")
        self.type("ann", "BSpace", "X", "End", " more", "Enter")
        said = half.replace(" and", "Xand") + " more"
        self.wait("bob", lambda lines: f"00:00 [lobby] ann: {said}" in "".join(lines), said)

    def test_chat_at_a_terminal_half_typed_in_a_narrow_one_loses_nothing(self):
        self.two_people(size=(30, 20))
        for length in (21, 22, 23, 24, 52, 53, 54):  # about the ends of rows; the prompt has 7 columns
            self.type("ann", "C-u", "x" * length)
            self.wait("ann", lambda lines: "".join(lines).endswith("lobby> " + "x" * length), length)
            self.type("bob", f"at {length}", "Enter")
            self.wait("ann", lambda lines: "".join(lines).endswith(
                f"00:00 [lobby] bob: at {length}lobby> " + "x" * length), length)
        heard = [line for line in self.screen("ann") if "bob: at" in line]
        self.assertEqual(heard, [f"00:00 [lobby] bob: at {length}" for length in (21, 22, 23, 24, 52, 53, 54)])

    def test_chat_at_a_terminal_completes_commands_names_and_rooms(self):
        self.two_people()
        self.type("bob", "/join the garden", "Enter")
        self.sees("bob", "00:00 you entered the garden; nobody else is there", "the garden>")
        self.type("ann", "bo", "Tab", "hi", "Enter")
        self.sees("ann", "00:00 [lobby] ann: bob: hi", "lobby>")
        self.type("ann", "/m", "Tab", "b", "Tab", "psst", "Enter")
        self.sees("ann", "00:00 to bob alone: psst", "00:00 bob has read: psst", "lobby>")
        self.type("ann", "/j", "Tab", "th", "Tab", "Enter")
        self.sees("ann", "00:00 you entered the garden; here: bob", "the garden>")
        self.type("ann", "/h", "Tab")
        self.sees("ann", "/help  /history", "the garden> /h")

    def test_chat_at_a_terminal_keeps_messages_for_who_is_away(self):
        self.two_people()
        self.type("bob", "/quit", "Enter")
        self.sees("ann", "00:00 bob left", "lobby>")
        self.type("ann", "/msg bob lunch?", "Enter")
        self.sees("ann", "00:00 to bob alone: lunch?  (kept until they come)", "lobby>")
        self.tmux("kill-session", "-t", "bob")
        self.open("bob")
        letter = re.compile(r"00:00 ann, to you alone, \d{4}-\d\d-\d\d \d\d:\d\d: lunch\?")
        self.wait("bob", lambda lines: any(map(letter.match, lines)), "the letter")
        self.wait("ann", lambda lines: "00:00 bob has received: lunch?" in lines and
                  "00:00 bob has read: lunch?" in lines, "the receipts")

    def test_chat_at_a_terminal_shows_how_far_a_file_is_and_keeps_the_line(self):
        # Under way for long enough.
        with open(os.path.join(self.home, "large cat.jpg"), "wb") as file:
            file.truncate(4 << 30)
        os.mkdir(os.path.join(self.home, "Downloads"))
        self.two_people()
        self.type("ann", "/send b", "Tab", "~/la", "Tab", "Enter")
        self.sees("ann", "00:00 large cat.jpg, 4.3 GB, is offered to bob", "lobby>")
        self.sees("bob", "00:00 ann offers large cat.jpg, 4.3 GB; /accept 1 takes it", "lobby>")
        self.type("ann", "half")
        self.type("bob", "/accept", "Enter", "also half")
        under_way = re.compile(r"^large cat.jpg (to bob|from ann) \[#*-*\] \d+ %$")
        for name, half in (("ann", "half"), ("bob", "also half")):
            self.wait(name, lambda lines: lines[-1] == "lobby> " + half and bool(under_way.match(lines[-2])), half)
        self.type("ann", "C-u", "still here", "Enter")
        self.wait("bob", lambda lines: lines[-1] == "lobby> also half" and bool(under_way.match(lines[-2])) and
                  lines[-3] == "00:00 [lobby] ann: still here", "the line above")
        self.type("ann", "/decline", "Enter")
        failed = "00:00 large cat.jpg {} did not arrive: cancelled"
        self.sees("ann", failed.format("to bob"), "lobby>")
        self.sees("bob", "00:00 [lobby] ann: still here", failed.format("from ann"), "lobby> also half")

    def test_chat_at_a_terminal_goes_back_to_earlier_lines(self):
        self.two_people()
        self.type("ann", "first", "Enter", "second", "Enter", "Up", "Up", "!", "Enter")
        self.sees("bob", "00:00 [lobby] ann: first", "00:00 [lobby] ann: second", "00:00 [lobby] ann: first!",
                  "lobby>")

    def test_chat_at_a_terminal_leaves_it_as_it_was(self):
        self.two_people()
        self.type("bob", "half a line")
        self.sees("bob", "lobby> half a line")
        for name, how in (("ann", ("/quit", "Enter")), ("bob", ("C-c",))):
            self.type(name, *how)
            self.sees(name, "ended with 0")
            self.type(name, "echoed", "Enter")  # by the terminal, and by cat
            self.sees(name, "ended with 0", "echoed", "echoed")

    def test_chat_at_a_terminal_that_is_closed_says_goodbye(self):
        self.two_people()
        self.tmux("kill-session", "-t", "ann")
        self.sees("bob", "00:00 ann left", "lobby>")

    def test_chat_at_a_terminal_that_changes_its_size_stays_whole(self):
        self.two_people()
        self.type("ann", "some text that takes two rows when there is less room for it")
        self.wait("ann", lambda lines: lines[-1].endswith("for it"), "the text")
        self.tmux("resize-window", "-t", "ann", "-x", "40")
        self.type("bob", "smaller?", "Enter")
        self.sees("ann", "00:00 [lobby] bob: smaller?", "lobby> some text that takes two rows whe",
                  "n there is less room for it")

    def test_chat_at_a_terminal_comes_back_from_a_stop(self):
        self.open("bob")
        self.tmux("new-session", "-d", "-s", "ann", "-x", "60", "-y", "20",
                  "env LC_ALL=C.UTF-8 PS1=shell: sh")
        command = shlex.join([os.environ["PARLEY_PROGRAM"], "chat", "--name", "ann", "--no-history",
                              *(str(word) for word in self.lan())])
        self.type("ann", "NO_COLOR=1 " + command, "Enter")
        self.wait("ann", lambda lines: lines[-1] == "lobby>" and "bob" in lines[-2], "the chat")
        self.type("ann", "half")
        self.sees("ann", "lobby> half")
        self.type("ann", "C-z")
        self.wait("ann", lambda lines: lines[-1] == "shell:", "the shell")
        self.type("bob", "meanwhile", "Enter")
        self.sees("bob", "00:00 [lobby] bob: meanwhile", "lobby>")
        self.type("ann", "fg", "Enter")
        self.sees("ann", "00:00 [lobby] bob: meanwhile", "lobby> half")
        self.type("ann", " and half", "Enter")
        self.sees("bob", "00:00 [lobby] ann: half and half", "lobby>")

    def test_chat_at_a_terminal_remembers_what_was_said(self):
        self.two_people()
        self.type("bob", "before", "Enter")
        self.sees("ann", "00:00 [lobby] bob: before", "lobby>")
        self.type("ann", "/quit", "Enter")
        self.sees("ann", "ended with 0")
        self.tmux("kill-session", "-t", "ann")
        self.open("ann")
        past = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d \[lobby\] bob: before$")
        self.wait("ann", lambda lines: bool(lines) and past.match(lines[0]) is not None, "the past")

    def test_chat_at_a_terminal_has_colours_unless_told_not_to(self):
        self.open("ann", environment="TERM=screen")
        self.open("bob")
        self.open("carol", "--plain", environment="TERM=screen")
        self.open("dora", environment="TERM=dumb")
        self.type("bob", "hello", "Enter")
        coloured = {}
        for name in ("ann", "bob", "carol", "dora"):
            self.wait(name, lambda lines: any("you are" in line for line in lines), "a greeting")
            coloured[name] = "\x1b[" in self.tmux("capture-pane", "-p", "-e", "-t", name)
        self.assertEqual(coloured, {"ann": True, "bob": False, "carol": False, "dora": False})

    def test_chat_at_a_terminal_shows_control_characters_and_does_nothing_else(self):
        self.two_people()
        evil = self.json_chat("evil\x1b]0;x\x07")
        names = {self.event(evil, "join")["name"], self.event(evil, "join")["name"]}
        self.assertEqual(names, {"ann", "bob"})
        evil.write("\x1b[2J\x1b[H\u202ecleared\u009b2J\x9c\n")
        said = "00:00 [lobby] evil\\x1b]0;x\\x07: \\x1b[2J\\x1b[H\\u202ecleared\\u009b2J\\u009c"
        self.wait("ann", lambda lines: said in "".join(lines), said)

    def test_chat_at_a_terminal_sends_a_pasted_page_in_parts(self):
        self.two_people()
        page = [f"line {number}" for number in range(22)]
        self.tmux("set-buffer", "\n".join(page) + "\n")
        self.tmux("paste-buffer", "-t", "ann")
        self.wait("ann", lambda lines: any("the rest goes out in" in line for line in lines), "a notice")
        self.sees("bob", *(f"00:00 [lobby] ann: {line}" for line in page[-15:]), "lobby>")


if __name__ == "__main__":
    unittest.main()
