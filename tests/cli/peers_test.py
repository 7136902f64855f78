# SPDX-License-Identifier: MPL-2.0
import json
import os
import re
import signal
import tempfile
import unittest

from lan_test import LanTest


class Test(LanTest):
    def test_peers_tells_who_is_here(self):
        chat = self.json_chat("ann\t\x1b[1m", "--room", "garden", "--wait", 0)
        own = self.event(chat, "started")["peer"]
        result = self.parley("peers", *self.lan(), "--count", 1, "--timeout", 20)
        self.assertEqual((result.code, result.err), (0, ""))
        name, peer, address, groups, headers = result.out.rstrip("\n").split("\t")
        self.assertEqual((name, peer, groups), (r"ann\t\x1b[1m", own, "garden"))
        self.assertRegex(address, r"^tcp://127\.0\.0\.1:\d+$")
        self.assertIn("X-PARLEY-CHAT=1", headers.split(" "))

    def test_peers_as_json(self):
        chat = self.json_chat("ann", "--wait", 0)
        own = self.event(chat, "started")["peer"]
        found = json.loads(self.parley("peers", *self.lan(), "--count", 1, "--timeout", 20, "--json").out)
        self.assertEqual((found["name"], found["peer"], found["groups"], found["headers"]["X-PARLEY-CHAT"]),
                         ("ann", own, ["lobby"], "1"))

    def test_peers_where_nobody_is_ends_with_0_and_says_so(self):
        result = self.parley("peers", *self.lan(), "--timeout", "0.2")
        self.assertEqual((result.code, result.out, result.err),
                         (0, "", "parley: nobody was found within 0.2 s\n"))

    def test_peers_where_too_few_are_ends_with_2(self):
        result = self.parley("peers", *self.lan(), "--count", 1, "--timeout", "0.2")
        self.assertEqual((result.code, result.err),
                         (2, "parley: fewer than 1 were found within 0.2 s\n"))

    def test_peers_watch_prints_what_happens(self):
        watch = self.start_parley("peers", "--watch", *self.lan(), "--name", "watch")
        chat = self.chat("ann", "--wait", 0)
        self.assertRegex(watch.line(), r"^enter\tann\t[0-9A-F]{32}\ttcp://127\.0\.0\.1:\d+\t.*X-PARLEY=")
        self.assertRegex(watch.line(), r"^join\tann\t[0-9A-F]{32}\tlobby$")
        chat.write("/quit\n")
        self.assertRegex(watch.line(), r"^exit\tann\t[0-9A-F]{32}\tleft$")
        self.assertEqual(watch.stop(signal.SIGINT).code, 0)

    def test_peers_watch_as_json_prints_what_was_whispered(self):
        watch = self.start_parley("peers", "--watch", *self.lan(), "--name", "watch", "--json", "--count", 3)
        chat = self.json_chat("ann", "--wait", 0)
        self.assertEqual(self.event(watch, "enter")["name"], "ann")
        self.assertEqual(self.event(watch, "join")["group"], "lobby")
        self.event(chat, "enter", name="watch")
        chat.write("/msg watch hello\n")
        whisper = self.event(watch, "whisper")
        self.assertEqual((whisper["name"], whisper["body"]), ("ann", "hello"))
        self.assertEqual(watch.finish().code, 0)

    def test_peers_watch_where_nothing_happens_times_out(self):
        result = self.parley("peers", "--watch", *self.lan(), "--timeout", "0.2")
        self.assertEqual((result.code, result.err), (2, "parley: nothing happened within 0.2 s\n"))

    def test_peers_without_beacons_meet_by_a_seed(self):
        seed = self.start_parley("peers", "--watch", "--name", "seed", "--port", 0, "--gossip", "tcp://127.0.0.1:0")
        lan = self.seed(seed)
        chats = [self.json_chat(name, lan=lan) for name in ("ann", "bob")]
        self.event(chats[0], "join", name="bob")
        self.event(chats[1], "join", name="ann")
        result = self.parley("peers", *lan, "--count", 3, "--timeout", 20)
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual([line.split("\t")[0] for line in result.out.splitlines()], ["ann", "bob", "seed"])

    def test_chat_is_a_seed_too(self):
        ann = self.json_chat("ann", "--gossip", "tcp://127.0.0.1:0")
        bob = self.json_chat("bob", lan=self.seed(ann))
        self.event(ann, "join", name="bob")
        self.event(bob, "join", name="ann")

    def test_peers_who_know_no_seed_stay_alone(self):
        seed = self.start_parley("peers", "--watch", "--port", 0, "--gossip", "tcp://127.0.0.1:0")
        self.seed(seed)
        self.assertEqual(self.parley("peers", "--port", 0, "--timeout", "0.2").out, "")

    def test_a_seed_that_is_no_address_with_a_port_is_a_usage_error(self):
        for what in ("ipc:///tmp/x", "tcp://*:5670", "tcp://10.0.0.1:0"):
            self.assert_fails(self.parley("peers", "--port", 0, "--seed", what), 1, "a seed is at tcp://HOST:PORT")
        self.assert_fails(self.parley("peers", "--port", 0, "--seed", "10.0.0.1"), 1, "10.0.0.1")
        self.assert_fails(self.parley("peers", "--port", 0, "--gossip", "ipc://*"), 1, "tcp://HOST:PORT")

    def test_a_seed_at_an_address_in_use_ends_with_3(self):
        seed = self.start_parley("peers", "--watch", "--port", 0, "--gossip", "tcp://127.0.0.1:0")
        taken = self.seed(seed)[-1]
        self.assert_fails(self.parley("peers", "--port", 0, "--gossip", taken), 3, "Address already in use")

    def test_peers_on_an_interface_that_is_not_there_finds_nobody(self):
        result = self.parley("peers", "--interface", "nosuch0", "--port", self.port, "--timeout", "0.2")
        self.assertEqual(result.out, "")


    def secured(self, name, *allowed):
        """Options of a program with keys of its own; who is allowed has been named before."""
        path = lambda file: os.path.join(self.directory, file)
        if not os.path.exists(path(name)):
            self.parley("keygen", path(name))
        for each in allowed:
            with open(path(each), encoding="utf-8") as file, \
                    open(path(name + "_allowed"), "a", encoding="utf-8") as listed:
                listed.write(re.search('"(.*)"', file.read()).group(1) + "\n")
        return ["--curve-keys", path(name)] + (["--curve-allow", path(name + "_allowed")] if allowed else [])

    def test_peers_with_keys_see_each_other_and_tell_whose_keys_they_are(self):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        ann = self.json_chat("ann", "--wait", 0, *self.secured("ann"))
        self.event(ann, "started")
        bob = self.parley("peers", *self.lan(), "--count", 1, "--timeout", 20, "--json",
                          *self.secured("bob", "ann"))
        self.assertEqual((bob.code, bob.err), (0, ""))
        found = json.loads(bob.out)
        with open(os.path.join(self.directory, "ann"), encoding="utf-8") as file:
            self.assertIn('"' + found["key"] + '"', file.read())
        self.assertEqual((found["name"], found["headers"]["X-PUBLICKEY"]), ("ann", found["key"]))

        # And those who do not see her are told why.
        other = self.parley("peers", *self.lan(), "--count", 1, "--timeout", 1)
        self.assertEqual(other.code, 2)
        self.assertIn("peers with keys, which takes --curve-keys to meet", other.err)
        self.secured("dan")
        eve = self.parley("peers", *self.lan(), "--count", 1, "--timeout", 1, *self.secured("eve", "dan"))
        self.assertEqual(eve.code, 2)
        self.assertIn("whose keys are not on the list", eve.err)

    def test_secured_peers_meet_by_a_seed_whose_key_they_know(self):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        seed = self.start_parley("peers", "--watch", "--name", "seed", "--port", 0, "--gossip",
                                 "tcp://127.0.0.1:0", *self.secured("seed"))
        where = seed.line("err").removeprefix("seed ")
        at = ["--port", 0, "--count", 1, "--timeout", 20, *self.secured("ann"), "--seed"]
        found = self.parley("peers", *at, where + "=" + os.path.join(self.directory, "seed"))
        self.assertEqual((found.code, found.out.partition("\t")[0]), (0, "seed"))
        self.assert_fails(self.parley("peers", *at, where), 1, "a seed has a key in a secured network")

    def test_a_list_is_of_no_use_without_keys(self):
        self.assert_fails(self.parley("peers", *self.lan(), "--curve-allow", "/dev/null"), 1,
                          "--curve-allow is of use with --curve-keys only")


if __name__ == "__main__":
    unittest.main()
