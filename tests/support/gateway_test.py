# SPDX-License-Identifier: MPL-2.0
"""Tests with a gateway that runs for real, and native programs on its other side."""

import os

from program import ProgramTest


class GatewayTest(ProgramTest):
    def start_gateway(self, *arguments):
        """Sets self.port, and self.bound: the native endpoints in the order of the arguments."""
        self.gateway = self.start_parley("gateway", "--stomp", "127.0.0.1:0", *arguments)
        self.bound = []
        while True:
            word, *rest = self.gateway.line("err").split()
            if word == "listening":
                self.port = int(rest[-1].rpartition(":")[2])
                return
            self.bound.append(rest[0])

    def start_calculator(self):
        return self.start(os.environ["PARLEY_CALCULATOR"]).bound()
