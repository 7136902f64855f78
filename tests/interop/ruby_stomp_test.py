# SPDX-License-Identifier: MPL-2.0
"""Ruby's stomp gem, in all its three versions of the protocol."""

import os
import unittest

from gateway_test import GatewayTest

SCRIPT = os.path.join(os.path.dirname(__file__), "ruby_stomp.rb")


class Test(GatewayTest):
    def ruby(self, version, scenario):
        program = self.start("ruby", SCRIPT, self.port, version, scenario)
        self.assertEqual(program.line(), f"CONNECTED {version}")
        return program

    def assert_sees(self, program, *lines):
        result = program.finish()
        self.assertEqual(result.out.splitlines()[1:], list(lines), f"stderr:\n{result.err}")
        self.assertEqual(result.code, 0)

    def test_ruby_hears_a_native_publisher(self):
        self.start_gateway("--subscribe", "bind:tcp://127.0.0.1:0")
        for version in ("1.0", "1.1", "1.2"):
            program = self.ruby(version, "topic")
            self.assertEqual(program.line(), "RECEIPT subscribed")
            self.assert_done(self.parley("pub", "connect:" + self.bound[0], "news.sport", "2:1"))
            self.assert_sees(program, "RECEIPT subscribed", "MESSAGE /topic/news.sport 2:1")

    def test_ruby_acknowledges_up_to_a_message(self):
        self.start_gateway()
        for version in ("1.0", "1.1", "1.2"):
            self.assert_sees(self.ruby(version, "queue"),
                             *(f"MESSAGE /queue/q {number}" for number in (1, 2, 3, 3)))

    def test_ruby_gives_a_message_back(self):
        self.start_gateway()
        for version in ("1.1", "1.2"):
            self.assert_sees(self.ruby(version, "nack"), *["MESSAGE /queue/q work"] * 2)

    def test_ruby_commits_and_aborts(self):
        self.start_gateway()
        for version in ("1.0", "1.1", "1.2"):
            self.assert_sees(self.ruby(version, "transaction"), "MESSAGE /queue/q outside",
                             "MESSAGE /queue/q in the transaction")

    def test_ruby_calls_a_service(self):
        self.start_gateway("--service", "add=" + self.start_calculator())
        for version in ("1.0", "1.1", "1.2"):
            self.assert_sees(self.ruby(version, "service"), "REPLY 5")

    def test_ruby_is_told_of_its_error(self):
        self.start_gateway()
        for version in ("1.0", "1.1", "1.2"):
            self.assert_sees(self.ruby(version, "error"), "ERROR for r")


if __name__ == "__main__":
    unittest.main()
