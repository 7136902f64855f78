# SPDX-License-Identifier: MPL-2.0
"""The example minimal_chat, which sends and understands text alone, as the chats of zyre and pyre do."""
import os
import unittest

from lan_test import LanTest


class Test(LanTest):
    def minimal_chat(self, name):
        return self.start(os.environ["PARLEY_MINIMAL_CHAT"], name, self.port, "lo")

    def test_minimal_chats_talk(self):
        ann, bob = self.minimal_chat("ann"), self.minimal_chat("bob")
        self.assertEqual((ann.line(), bob.line()), ("bob entered", "ann entered"))
        ann.write("hello\x1b[2J\n")
        self.assertEqual(bob.line(), "ann: hello?[2J")
        self.assertEqual(ann.finish().code, 0)
        self.assertEqual(bob.line(), "ann is gone: left")

    def test_chat_and_programs_that_know_text_alone_understand_each_other(self):
        ann, bob = self.json_chat("ann"), self.minimal_chat("bob")
        self.event(ann, "join", name="bob")
        self.assertEqual(bob.line(), "ann entered")
        bob.write("hello\n")
        line = self.event(ann, "line")
        self.assertEqual((line["name"], line["room"], line["text"]), ("bob", "lobby", "hello"))
        ann.write("/away not for you\n/msg bob psst\n/back\nhi\n")
        self.assertEqual([bob.line(), bob.line()], ["ann: psst", "ann: hi"])

    def test_chat_mutes_who_says_too_much_and_tells_them_once(self):
        ann, bob = self.json_chat("ann"), self.minimal_chat("bob")
        self.event(ann, "join", name="bob")
        self.assertEqual(bob.line(), "ann entered")
        bob.write("".join(f"{number}\n" for number in range(200)))
        self.event(ann, "muted")
        ann.write("who was that?\n")
        self.assertEqual(bob.line(), "ann does not hear you: you said too much")
        self.assertEqual(bob.line(), "ann: who was that?")
        # 50 were heard, and those for which time had made room meanwhile.
        self.assertIn(self.event(ann, "unmuted")["count"], range(100, 152))


if __name__ == "__main__":
    unittest.main()
