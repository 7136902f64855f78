# SPDX-License-Identifier: MPL-2.0
"""Perl's Net::Stomp, which speaks STOMP 1.0."""

import os
import unittest

from gateway_test import GatewayTest

SCRIPT = os.path.join(os.path.dirname(__file__), "net_stomp.pl")


class Test(GatewayTest):
    def perl(self, scenario):
        program = self.start("perl", SCRIPT, self.port, scenario)
        self.assertEqual(program.line(), "CONNECTED")
        return program

    def assert_sees(self, program, *lines):
        result = program.finish()
        self.assertEqual(result.out.splitlines()[1:], list(lines), f"stderr:\n{result.err}")
        self.assertEqual(result.code, 0)

    def test_perl_hears_a_native_publisher(self):
        self.start_gateway("--subscribe", "bind:tcp://127.0.0.1:0")
        program = self.perl("topic")
        self.assertEqual(program.line(), "RECEIPT subscribed")
        self.assert_done(self.parley("pub", "connect:" + self.bound[0], "news.sport", "2:1"))
        self.assert_sees(program, "RECEIPT subscribed", "MESSAGE /topic/news.sport 2:1")

    def test_perl_acknowledges_up_to_a_message(self):
        self.start_gateway()
        self.assert_sees(self.perl("queue"),
                         *(f"MESSAGE /queue/q {number}" for number in (1, 2, 3, 3)))

    def test_perl_commits_a_transaction(self):
        self.start_gateway()
        self.assert_sees(self.perl("transaction"), "COMMITTED", "MESSAGE /queue/q in a transaction")

    def test_perl_calls_a_service(self):
        self.start_gateway("--service", "add=" + self.start_calculator())
        self.assert_sees(self.perl("service"), "REPLY 5")

    def test_perl_is_told_of_its_error(self):
        self.start_gateway()
        self.assert_sees(self.perl("error"), "ERROR")


if __name__ == "__main__":
    unittest.main()
