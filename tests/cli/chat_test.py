# SPDX-License-Identifier: MPL-2.0
import json
import os
import pathlib
import signal
import sqlite3
import stat
import tempfile
import unittest

from lan_test import LanTest


class Test(LanTest):
    def test_chats_find_each_other_and_talk(self):
        ann, bob = self.two_chats()
        ann.write("hello, Bob\n")
        line = self.event(bob, "line")
        self.assertEqual((line["name"], line["room"], line["text"]), ("ann", "lobby", "hello, Bob"))
        self.assertEqual(self.event(ann, "said")["to"], 1)

    def test_chat_lines_are_plain_without_json(self):
        ann = self.chat("ann")
        bob = self.json_chat("bob")
        self.event(bob, "join", name="ann")
        bob.write("grüß dich 你好\n/msg ann psst\n")
        self.assertEqual(ann.line(), "you are ann, in lobby; /help tells what you can type")
        self.assertRegex(ann.line(), "^bob (is in|entered) lobby$")
        self.assertEqual(ann.line(), "[lobby] bob: grüß dich 你好")
        self.assertEqual(ann.line(), "bob, to you alone: psst")

    def test_chat_tells_when_a_private_message_was_read(self):
        ann, bob = self.two_chats()
        ann.write("/msg bob lunch?\n")
        self.assertEqual(self.event(bob, "private")["text"], "lunch?")
        self.assertEqual(self.event(ann, "told")["text"], "lunch?")
        self.assertEqual(self.event(ann, "read")["text"], "lunch?")

    def test_chat_reads_nothing_while_its_person_is_away(self):
        ann, bob = self.two_chats()
        bob.write("/away at lunch\n")
        self.assertEqual(self.event(ann, "away")["text"], "at lunch")
        ann.write("/msg bob are you there?\n")
        self.event(bob, "private")
        bob.write("hello to all\n/back\n")
        self.event(ann, "line")
        self.assertEqual([json.loads(ann.line())["event"] for _ in range(2)], ["back", "read"])

    def test_chat_tells_who_comes_later_who_is_away(self):
        ann, bob = self.two_chats()
        bob.write("/away at lunch\n")
        self.event(ann, "away", name="bob")
        carol = self.json_chat("carol")
        self.assertEqual(self.event(carol, "away")["name"], "bob")

    def test_chat_rooms_are_apart(self):
        ann, bob = self.two_chats()
        ann.write("/join garden\nto nobody\n")
        self.assertEqual(self.event(ann, "said")["to"], 0)
        bob.write("/join garden\n")
        self.event(ann, "join", name="bob", room="garden")
        ann.write("in the garden\n/leave\nin the lobby\n")
        self.assertEqual(self.event(bob, "line")["room"], "garden")
        self.assertEqual(self.event(bob, "leave")["room"], "garden")
        self.assertEqual(self.event(bob, "line")["room"], "lobby")
        bob.write("/rooms\n")
        self.assertEqual([(room["room"], room["count"], room["joined"])
                          for room in (self.event(bob, "room"), self.event(bob, "room"))],
                         [("garden", 1, True), ("lobby", 2, True)])

    def test_chat_who_tells_everybody_and_their_rooms(self):
        ann, bob = self.two_chats()
        bob.write("/join garden\n/away at lunch\n")
        self.event(ann, "away")
        ann.write("/who\n")
        self.assertEqual(self.event(ann, "person")["name"], "ann")
        person = self.event(ann, "person")
        self.assertEqual((person["name"], person["rooms"], person["away"]),
                         ("bob", ["garden", "lobby"], "at lunch"))
        self.assertRegex(person["address"], r"^tcp://127\.0\.0\.1:")

    def test_chat_says_why_somebody_is_gone(self):
        ann, bob = self.two_chats()
        carol = self.json_chat("carol")
        self.event(ann, "join", name="carol")
        carol.process.kill()
        self.assertEqual(self.event(ann, "exit", name="carol")["reason"], "link lost")
        bob.write("/quit\n")
        self.assertEqual(self.event(ann, "exit", name="bob")["reason"], "left")
        self.assertEqual(bob.finish().code, 0)

    def test_chat_that_is_interrupted_says_goodbye_and_ends_with_0(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ann, bob = self.two_chats()
            self.assertEqual(ann.stop(number).code, 0)
            self.assertEqual(self.event(bob, "exit", name="ann")["reason"], "left")
            bob.close()

    def test_chat_ends_with_its_input_when_all_that_was_said_has_left(self):
        for _ in range(5):
            bob = self.json_chat("bob")
            self.event(bob, "started")
            result = self.parley("chat", "--name", "disk", *self.lan(), stdin="one\ntwo")
            self.assertEqual((result.code, result.err), (0, ""))
            self.assertEqual([self.event(bob, "line")["text"] for _ in range(2)], ["one", "two"])
            bob.close()

    def test_chat_without_anybody_times_out(self):
        result = self.parley("chat", *self.lan(), "--timeout", "0.2", stdin="hello\n")
        self.assertEqual((result.code, result.err),
                         (2, "parley: fewer than 1 were in lobby within 0.2 s\n"))

    def test_chat_with_wait_0_needs_nobody(self):
        result = self.parley("chat", *self.lan(), "--wait", 0, stdin="hello\n")
        self.assertEqual((result.code, result.err), (0, ""))

    def test_chat_ends_after_as_many_lines_as_asked(self):
        bot = self.chat("bot", "--count", 2)
        bob = self.json_chat("bob")
        self.event(bob, "join", name="bot")
        bot.write("who can deploy?\n")
        bot.process.stdin.close()
        self.event(bob, "line")
        bob.write("I can\n/msg bot me too\n")
        self.assertEqual(bot.process.wait(20), 0)
        self.assertEqual([bot.line() for _ in range(4)][2:], ["[lobby] bob: I can", "bob, to you alone: me too"])

    def test_chat_that_hears_nothing_times_out(self):
        ann = self.chat("ann", "--wait", 0, "--count", 1, "--timeout", "0.2")
        result = ann.finish()
        self.assertEqual((result.code, result.err), (2, "parley: nobody said anything within 0.2 s\n"))

    def test_chat_tells_two_people_of_one_name_apart(self):
        ann, bob = self.two_chats()
        other = self.json_chat("bob")
        self.event(ann, "join", name="bob")
        ann.write("/msg bob hello\n")
        mistake = self.event(ann, "mistake")["text"]
        self.assertRegex(mistake, r"^who of these\? bob~[0-9A-F]{4,}, bob~[0-9A-F]{4,}$")
        own = self.event(other, "started")["peer"]
        ann.write(f"/msg bob~{own[:6].lower()} hello\n")
        self.assertEqual(self.event(ann, "told")["peer"], own)
        self.assertEqual(self.event(other, "private")["text"], "hello")

    def test_chat_escapes_what_a_terminal_would_act_upon(self):
        ann = self.chat("ann")
        evil = self.json_chat("\x1b]0;evil\x07")
        self.event(evil, "join", name="ann")
        evil.write("\x1b[2J\u202e\u009b1m\tend\n/away \x1b[2J\n/quit\n")
        evil.finish()
        while "left" not in ann.line():
            pass
        ann.write("/quit\n")
        printed = ann.finish().out
        self.assertIn("[lobby] \\x1b]0;evil\\x07: \\x1b[2J\\u202e\\u009b1m\\tend\n", printed)
        self.assertTrue(all(each >= " " or each == "\n" for each in printed))

    def test_chat_waits_for_who_comes_although_he_leaves_in_the_same_moment(self):
        ann = self.json_chat("ann")
        bob = self.json_chat("bob", "--wait", 0, "--room", "garden")
        self.event(ann, "enter", name="bob")
        self.event(bob, "enter", name="ann")
        ann.process.send_signal(signal.SIGSTOP)
        bob.write("/join lobby\n/leave lobby\n/msg ann hello\n")
        self.event(bob, "told")
        ann.process.send_signal(signal.SIGCONT)
        self.event(ann, "private")
        ann.write("/quit\n")
        self.assertEqual(ann.finish().code, 0)

    def test_chat_input_that_is_no_text_is_a_mistake(self):
        ann, bob = self.two_chats()
        ann.process.stdin.write(b"\xff\xfe\n")
        ann.write("text\n")
        self.assertIn("no UTF-8", self.event(ann, "mistake")["text"])
        self.assertEqual(self.event(bob, "line")["text"], "text")

    def test_chat_mistakes_are_on_stderr_without_json(self):
        result = self.parley("chat", *self.lan(), "--name", "ann", "--wait", 0, stdin="/shout hi\n/msg zoe hi\n")
        self.assertEqual(result.err, "parley: there is no command /shout; /help lists them\n"
                                     "parley: nobody here is called zoe; /who tells who is here\n")

    def test_chat_history_is_kept_in_a_file_and_found_again(self):
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "state", "chat.db")
            bob = self.json_chat("bob")
            self.event(bob, "started")
            with_history = ["--name", "ann", "--history", file, *self.lan()]
            self.parley("chat", *with_history, stdin="Über den Wolken\nsomething else\n")
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
            found = self.parley("chat", *with_history, "--wait", 0, "--json", stdin="/history über\n")
            past = [json.loads(line) for line in found.out.splitlines()]
            past = [event for event in past if event["event"] == "past"]
            self.assertEqual([(event["was"], event["room"], event["text"]) for event in past],
                             [("said", "lobby", "Über den Wolken")])
            shown = self.parley("chat", *with_history, "--wait", 0, stdin="/history 1\n").out
            self.assertRegex(
                shown, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d \[lobby\] ann: something else$")
            with sqlite3.connect(file) as database:
                self.assertEqual(database.execute("SELECT count(*) FROM lines").fetchone(), (2,))

    def test_chat_in_a_script_keeps_nothing_unless_told_to(self):
        with tempfile.TemporaryDirectory() as home:
            environment = dict(os.environ, HOME=home, XDG_STATE_HOME=home)
            ann = self.chat("ann", "--wait", 0, env=environment)
            ann.write("/history\n")
            self.assertIn("nothing is kept here", ann.finish().err)
            self.assertEqual(os.listdir(home), [])

    def directory(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        return holder.name

    def test_chat_keeps_messages_for_people_who_are_away(self):
        files = self.directory()

        def start(name):
            return self.json_chat(name, "--history", os.path.join(files, name + ".db"), "--wait", "0")

        ann, bob = start("ann"), start("bob")
        self.event(ann, "join", name="bob")
        self.event(bob, "join", name="ann")
        bob.write("/quit\n")
        self.assertEqual(bob.finish().code, 0)
        self.event(ann, "exit", name="bob")
        ann.write("/msg bob lunch?\n/msg bob at one\n")
        self.assertTrue(self.event(ann, "told", text="lunch?")["kept"])
        self.event(ann, "told", text="at one")
        # Both begin anew, he while she is away.
        ann.write("/quit\n")
        self.assertEqual(ann.finish().code, 0)
        bob = start("bob")
        self.event(bob, "started")
        ann = start("ann")
        for text in "lunch?", "at one":
            letter = self.event(bob, "private", text=text)
            self.assertEqual(letter["name"], "ann")
            self.assertIn("written", letter)
        self.event(ann, "delivered", name="bob", text="lunch?")
        self.event(ann, "read", name="bob", text="at one")
        # Once.
        bob.write("/quit\n")
        bob.finish()
        self.event(ann, "exit", name="bob")
        bob = start("bob")
        self.event(bob, "join", name="ann")
        self.event(ann, "join", name="bob")
        ann.write("/msg bob now\n")
        self.assertEqual(self.event(bob, "private")["text"], "now")

    def test_a_second_chat_of_one_name_leaves_letters_to_the_first(self):
        files = self.directory()
        first = self.json_chat("ann", "--history", os.path.join(files, "db"), "--wait", "0")
        self.event(first, "started")
        second = self.json_chat("ann", "--history", os.path.join(files, "db"), "--wait", "0")
        self.event(second, "join", name="ann")
        second.write("hello\n")
        self.assertEqual(self.event(first, "line")["text"], "hello")

    def test_chat_sends_a_file_that_the_other_accepts(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow" * 100_000)
        ann, bob = self.json_chat("ann"), self.json_chat("bob", "--downloads", os.path.join(files, "bob"))
        self.event(ann, "join", name="bob")
        self.event(bob, "join", name="ann")
        for name in "cat.jpg", "cat 2.jpg":
            ann.write(f"/send bob {files}/cat.jpg\n")
            self.assertEqual(self.event(ann, "offering")["size"], 500_000)
            offer = self.event(bob, "offered")
            self.assertEqual((offer["name"], offer["file"], offer["size"]), ("ann", "cat.jpg", 500_000))
            bob.write(f"/accept {offer['number']}\n")
            received = self.event(bob, "received", number=offer["number"])
            self.assertEqual(received["path"], os.path.join(files, "bob", name))
            self.assertEqual(pathlib.Path(received["path"]).read_bytes(), b"miaow" * 100_000)
            self.event(ann, "sent", file="cat.jpg")
        ann.write(f"/send bob {files}/cat.jpg\n")
        self.event(bob, "offered")
        bob.write("/decline\n")
        self.assertEqual(self.event(ann, "file_failed")["reason"], "declined")
        ann.write("/send bob /no/such\n")
        self.assertIn("/no/such", self.event(ann, "mistake")["text"])

    def test_chat_in_scripts_sends_and_takes_a_file_and_ends(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow")
        os.mkdir(os.path.join(files, "bob"))
        bob = self.chat("bob", "--accept", "--downloads", os.path.join(files, "bob"), "--count", "1")
        ann = self.chat("ann")
        ann.write(f"/send bob {files}/cat.jpg\n")
        self.assertEqual(ann.finish().code, 0)
        ended = bob.finish()
        self.assertEqual(ended.code, 0)
        self.assertIn(f"cat.jpg of ann is here: {files}/bob/cat.jpg\n", ended.out)
        self.assertEqual(pathlib.Path(files, "bob", "cat.jpg").read_bytes(), b"miaow")

    def test_chat_in_scripts_does_not_wait_for_ever_for_one_who_does_not_answer_an_offer(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow")
        bob = self.json_chat("bob")
        ann = self.chat("ann", "--timeout", "2")
        ann.write(f"/send bob {files}/cat.jpg\n")
        ended = ann.finish()
        self.assertEqual(ended.code, 2)
        self.assertIn("parley: nothing was heard of cat.jpg to bob within 2 s\n", ended.err)
        self.event(bob, "offered")
        self.assertEqual(self.event(bob, "file_failed")["reason"], "peer gone")

    def test_chat_sends_a_file_on_a_secured_network(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow" * 1_000_000)
        for name in "ann", "bob":
            self.parley("keygen", os.path.join(files, name))
        bob = self.chat("bob", "--curve-keys", os.path.join(files, "bob"), "--accept", "--downloads",
                        os.path.join(files, "in"), "--count", "1")
        ann = self.chat("ann", "--curve-keys", os.path.join(files, "ann"))
        ann.write(f"/send bob {files}/cat.jpg\n")
        self.assertEqual(ann.finish().code, 0)
        self.assertEqual(bob.finish().code, 0)
        self.assertEqual(pathlib.Path(files, "in", "cat.jpg").read_bytes(), b"miaow" * 1_000_000)

    def test_chat_takes_files_of_one_name_at_a_time(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow" * 10_000_000)
        bob = self.chat("bob", "--accept", "--downloads", os.path.join(files, "bob"), "--count", "2")
        ann = self.chat("ann")
        ann.write(f"/send bob {files}/cat.jpg\n/send bob {files}/cat.jpg\n")
        self.assertEqual(ann.finish().code, 0)
        self.assertEqual(bob.finish().code, 0)
        self.assertEqual(sorted(os.listdir(os.path.join(files, "bob"))), ["cat 2.jpg", "cat.jpg"])

    def test_chat_takes_no_more_than_it_may(self):
        files = self.directory()
        pathlib.Path(files, "cat.jpg").write_bytes(b"miaow" * 1000)
        ann = self.json_chat("ann")
        self.json_chat("bob", "--accept", "--accept-bytes", "4999", "--downloads", os.path.join(files, "bob"))
        self.event(ann, "join", name="bob")
        ann.write(f"/send bob {files}/cat.jpg\n")
        self.assertEqual(self.event(ann, "file_failed")["reason"], "too large")
        self.assertFalse(os.path.exists(os.path.join(files, "bob")))

    def test_chat_with_a_history_that_is_none_is_a_usage_error(self):
        result = self.parley("chat", *self.lan(), "--history", "/dev/null", stdin="")
        self.assertEqual(result.code, 1)
        self.assertIn("/dev/null", result.err)

    def test_chat_without_readers_of_its_stdout_ends(self):
        shell = self.start("sh", "-c", '"$0" chat "$@" | head -1', os.environ["PARLEY_PROGRAM"], *self.lan(),
                           "--name", "ann")
        self.assertEqual(shell.line(), "you are ann, in lobby; /help tells what you can type")
        self.assertEqual(shell.process.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
