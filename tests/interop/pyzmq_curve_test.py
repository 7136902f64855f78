# SPDX-License-Identifier: MPL-2.0
"""CURVE between our sockets and plain ones, in both roles, with each other's key files."""

import os
import socket
import tempfile
import unittest

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from program import PATIENCE
from pyzmq_sockets_test import OurSocket
from zmq_test import ZmqTest, where

LARGE = bytes(range(256)) * 4096


class Between:
    """Between one client and one server whose mechanisms differ, to let only one of them know. Who of the two knows
    first hangs up, and the other may hear of nothing but that."""

    def __init__(self, test):
        self.test = test
        self.listener = self.kept(socket.create_server(("127.0.0.1", 0)))
        self.where = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]

    def kept(self, connection):
        self.test.addCleanup(connection.close)
        connection.settimeout(PATIENCE)
        return connection

    def tell_client(self, there):
        self._tell(*self._connections(there))

    def tell_server(self, there):
        self._tell(*reversed(self._connections(there)))

    def _connections(self, there):
        port = int(there.rpartition(":")[2])
        return self.kept(self.listener.accept()[0]), self.kept(socket.create_connection(("127.0.0.1", port)))

    def _tell(self, one, other):
        """"greeting = signature version mechanism as-server filler" (RFC 23), 64 octets: 10 of signature, then the
        major version. Who has got these 11 sends its own greeting to the end."""
        for count in (10, 1):
            self._pass_on(count, one, other)
            self._pass_on(count, other, one)
        self._pass_on(53, other, one)

    def _pass_on(self, count, source, target):
        while count:
            octets = source.recv(count)
            self.test.assertTrue(octets, "hung up in the greeting")
            target.sendall(octets)
            count -= len(octets)


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
        self.assertIn(reason, ours.ask("handshake_failed"))

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
        between = Between(self)
        self.plain_client(between.where, server=None)
        between.tell_server(there)
        self.assert_told(ours, "asks for a security")

    def test_a_plain_server_without_curve_is_told_to_our_client(self):
        server = self.plain_server(curve=False)
        between = Between(self)
        ours = self.our_client(between.where)
        between.tell_client(where(server))
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
