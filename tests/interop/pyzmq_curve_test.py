# SPDX-License-Identifier: MPL-2.0
"""CURVE between our sockets and plain ones, in both roles, with each other's key files."""

import os
import tempfile
import unittest

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from pyzmq_sockets_test import OurSocket
from zmq_test import ZmqTest, where

LARGE = bytes(range(256)) * 4096


class Test(ZmqTest):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.keys = {}
        # Half of the files are written by each side, all are read by both.
        for name in ("server", "stranger"):
            zmq.auth.create_certificates(self.directory, name)
            os.rename(self.path(name + ".key"), self.path(name))
            os.rename(self.path(name + ".key_secret"), self.path(name + "_secret"))
        self.assertEqual(self.parley("keygen", self.path("client")).code, 0)
        for name in ("server", "stranger", "client"):
            self.keys[name] = zmq.auth.load_certificate(self.path(name + "_secret"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def allow(self, *names):
        with open(self.path("allowed"), "w", encoding="utf-8") as file:
            for name in names:
                file.write(self.keys[name][0].decode() + "\n")
        return self.path("allowed")

    def our_server(self, *arguments):
        program = self.start(os.environ["PARLEY_SOCKET_PEER"], "dealer", "bind", "tcp://127.0.0.1:0",
                             "--server", self.path("server"), *arguments)
        return OurSocket(program), program.bound()

    def our_client(self, there, server="server"):
        return OurSocket(self.start(os.environ["PARLEY_SOCKET_PEER"], "dealer", "connect", there,
                                    "--client", self.path(server), self.path("client")))

    def plain_client(self, there, server="server", own="client"):
        client = self.context.socket(zmq.DEALER)
        self.addCleanup(client.close, linger=0)
        client.rcvtimeo = client.sndtimeo = 20_000
        if server:
            client.curve_serverkey = self.keys[server][0]
            client.curve_publickey, client.curve_secretkey = self.keys[own]
        client.connect(there)
        return client

    def plain_server(self, curve=True):
        server = self.context.socket(zmq.DEALER)
        self.addCleanup(server.close, linger=0)
        server.rcvtimeo = server.sndtimeo = 20_000
        if curve:
            server.curve_server = True
            server.curve_publickey, server.curve_secretkey = self.keys["server"]
        server.bind("tcp://127.0.0.1:*")
        return server

    def assert_told(self, ours, reason):
        """Both sides notice, and who hangs up first is not heard by the other: the next try may be."""
        told = []
        while not told or reason not in told[-1]:
            self.assertLess(len(told), 100, told)
            told.append(ours.ask("handshake_failed"))

    def talk(self, ours, theirs):
        for frames in ([b"a", b"", b"c"], [b""], [LARGE]):
            ours.send(frames)
            self.assertEqual(theirs.recv_multipart(), frames)
            theirs.send_multipart(frames)
            self.assertEqual(ours.receive(), frames)

    def test_our_curve_server_and_a_plain_client(self):
        ours, there = self.our_server()
        self.talk(ours, self.plain_client(there))

    def test_our_curve_client_and_a_plain_server(self):
        server = self.plain_server()
        self.talk(self.our_client(where(server)), server)

    def test_our_allow_list_lets_in_a_plain_client_that_is_on_it(self):
        ours, there = self.our_server(self.allow("client"))
        self.talk(ours, self.plain_client(there))

    def test_our_allow_list_refuses_a_plain_client_that_is_not_on_it(self):
        ours, there = self.our_server(self.allow("stranger"))
        self.plain_client(there)
        self.assert_told(ours, "allow list")

    def test_a_plain_client_with_the_wrong_server_key_is_told_to_our_server(self):
        ours, there = self.our_server()
        self.plain_client(there, server="stranger")
        self.assert_told(ours, "encryption does not fit")

    def test_a_plain_client_without_curve_is_told_to_our_server(self):
        ours, there = self.our_server()
        self.plain_client(there, server=None)
        # It gives up at once: who of the two hangs up first, decides what the reason is.
        self.assertNotEqual(ours.ask("handshake_failed"), "")

    def test_a_plain_server_without_curve_is_told_to_our_client(self):
        server = self.plain_server(curve=False)
        ours = self.our_client(where(server))
        self.assert_told(ours, "asks for a security")

    def test_the_wrong_server_key_is_told_to_our_client(self):
        server = self.plain_server()
        ours = self.our_client(where(server), server="stranger")
        self.assertNotEqual(ours.ask("handshake_failed"), "")

    def test_a_plain_servers_refusal_is_told_to_our_client(self):
        authenticator = ThreadAuthenticator(self.context)
        authenticator.start()
        self.addCleanup(authenticator.stop)
        os.mkdir(self.path("friends"))
        os.rename(self.path("stranger"), self.path("friends/stranger.key"))
        authenticator.configure_curve(domain="*", location=self.path("friends"))
        server = self.plain_server()
        ours = self.our_client(where(server))
        self.assert_told(ours, "status 400")


if __name__ == "__main__":
    unittest.main()
