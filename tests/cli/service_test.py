# SPDX-License-Identifier: MPL-2.0
import pathlib
import socket
import tempfile
import unittest

from program import ProgramTest


class Test(ProgramTest):
    def setUp(self):
        super().setUp()
        # Held, and shared as beacons are, so that no other test looks here.
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("", 0))
        self.addCleanup(held.close)
        self.where = ["--interface", "lo", "--beacon-port", str(held.getsockname()[1])]

    def test_call_finds_a_server_by_name(self):
        server = self.start_parley("serve", "service:echo", "--method", "echo=cat", *self.where)
        self.assertIn("tcp://", server.bound())
        self.assert_done(self.parley("call", "service:echo", "echo", "7", *self.where), "[7]\n")

    def test_call_finds_a_server_by_name_through_a_seed(self):
        server = self.start_parley("serve", "service:echo", "--method", "echo=cat", "--beacon-port", "0",
                                   "--gossip", "tcp://127.0.0.1:0")
        word, _, seed = server.line("err").partition(" ")
        self.assertEqual(word, "seed")
        server.bound()
        self.assert_done(self.parley("call", "service:echo", "echo", "7", "--beacon-port", "0", "--seed", seed),
                         "[7]\n")

    def test_call_says_when_nobody_offers_the_name(self):
        self.assert_fails(
            self.parley("call", "service:nobody", "echo", "--timeout", "0.3", *self.where), 5,
            "no server at service:nobody")

    def keys(self, name):
        return str(pathlib.Path(self.directory, name))

    def test_a_name_is_found_on_a_secured_network_and_its_server_too(self):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        allowed = ["--curve-allow", self.keys("allowed")]
        with open(self.keys("allowed"), "w", encoding="utf-8") as file:
            for name in ("adder", "desk"):
                file.write(self.parley("keygen", self.keys(name)).out)
        server = self.start_parley("serve", "service:echo", "--method", "echo=cat", *self.where, *allowed,
                                   "--curve-keys", self.keys("adder"), "--beacon-keys", self.keys("adder"))
        server.bound()
        ask = ["call", "service:echo", "echo", "7", *self.where, "--curve-server", self.keys("adder")]
        self.assert_done(self.parley(*ask, *allowed, "--curve-keys", self.keys("desk"),
                                     "--beacon-keys", self.keys("desk")), "[7]\n")
        self.assert_fails(self.parley(*ask, "--timeout", "0.5"), 5, "no server at service:echo")

    def test_a_subscriber_that_was_there_first_finds_the_publisher(self):
        feed = self.start_parley("sub", "service:prices", "gold", "--count", "1", *self.where)
        self.assert_done(
            self.parley("pub", "service:prices", "gold", "7", "--wait", "1", *self.where))
        self.assertIn("7", feed.line())

    def test_a_name_that_is_none_is_refused(self):
        self.assert_fails(self.parley("call", "service:a b", "echo"), 1,
                          "a service has a name of 1 to 100")
        self.assert_fails(self.parley("rep", "service:echo", "hello", *self.where), 1,
                          "a socket takes addresses")


if __name__ == "__main__":
    unittest.main()
