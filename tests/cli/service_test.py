# SPDX-License-Identifier: MPL-2.0
import socket
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

    def test_call_says_when_nobody_offers_the_name(self):
        self.assert_fails(
            self.parley("call", "service:nobody", "echo", "--timeout", "0.3", *self.where), 5,
            "no server at service:nobody")

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
