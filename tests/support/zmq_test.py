# SPDX-License-Identifier: MPL-2.0
"""Tests with a plain ZeroMQ peer: pyzmq, whose waits are bounded too."""

import zmq

from program import PATIENCE, ProgramTest


class ZmqTest(ProgramTest):
    def setUp(self):
        self.context = zmq.Context()
        self.addCleanup(self.context.term)

    def socket(self, kind, connect=None):
        """A socket, connected; or bound to a free port, which is in its last_endpoint."""
        socket = self.context.socket(kind)
        self.addCleanup(socket.close, linger=0)
        socket.rcvtimeo = socket.sndtimeo = PATIENCE * 1000
        if connect:
            socket.connect(connect)
        else:
            socket.bind("tcp://127.0.0.1:*")
        return socket


def where(socket):
    return socket.last_endpoint.decode()
