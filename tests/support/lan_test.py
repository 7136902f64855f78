# SPDX-License-Identifier: MPL-2.0
"""Tests with programs that find each other, on the loopback interface and a port that no other test has."""

import json
import socket

from program import ProgramTest


class LanTest(ProgramTest):
    def setUp(self):
        super().setUp()
        # Held, and shared as beacons are, so that no other test looks here.
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("", 0))
        self.addCleanup(held.close)
        self.port = held.getsockname()[1]

    def lan(self):
        return ["--interface", "lo", "--port", self.port]

    def chat(self, name, *arguments, lan=None, **options):
        return self.start_parley("chat", "--name", name, *(lan or self.lan()), *arguments, **options)

    def seed(self, program):
        """Where a program says that it is a seed, for the options of others."""
        word, _, endpoint = program.line("err").partition(" ")
        self.assertEqual(word, "seed")
        return ["--port", 0, "--seed", endpoint]

    def json_chat(self, name, *arguments, **options):
        return self.chat(name, "--json", *arguments, **options)

    def event(self, program, what, **fields):
        """The next event of that kind with these fields; what comes before it is skipped."""
        while True:
            event = json.loads(program.line())
            if event["event"] == what and fields.items() <= event.items():
                return event

    def two_chats(self, *arguments):
        """Ann and Bob, who have found each other."""
        ann, bob = self.json_chat("ann", *arguments), self.json_chat("bob", *arguments)
        self.event(ann, "join", name="bob")
        self.event(bob, "join", name="ann")
        return ann, bob
