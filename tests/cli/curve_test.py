# SPDX-License-Identifier: MPL-2.0
import os
import socket
import tempfile
import unittest

from program import PATIENCE, ProgramTest


class Test(ProgramTest):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.keys = {}
        for name in ("server", "client", "stranger"):
            result = self.parley("keygen", self.path(name))
            self.assertEqual(result.code, 0)
            self.keys[name] = result.out.strip()

    def path(self, name):
        return os.path.join(self.directory, name)

    def server(self, *arguments):
        return [*arguments, "--curve-keys", self.path("server")]

    def client(self, *arguments, server="server"):
        return [*arguments, "--curve-keys", self.path("client"), "--curve-server", self.path(server)]

    def allow(self, *names):
        with open(self.path("allowed"), "w", encoding="utf-8") as file:
            file.write("".join(self.keys[name] + "\n" for name in names))
        return ["--curve-allow", self.path("allowed")]

    def test_encrypted_publish_and_subscribe(self):
        publisher = self.start_parley(*self.server("pub", "tcp://127.0.0.1:0", "a", "x"))
        self.assert_done(self.parley(*self.client("sub", publisher.bound(), "--count", 1)), "a\tx\n")
        self.assert_done(publisher.finish())

    def forwarder(self, source, *arguments, server="server"):
        node = self.start_parley("forward", "--from", source, "--to", "tcp://127.0.0.1:0",
                                 "--curve-keys", self.path("client"),
                                 "--curve-server", self.path(server), *arguments)
        return node, node.bound()

    def test_a_forwarder_is_a_client_upstream_and_a_server_downstream(self):
        publisher = self.start_parley(*self.server("pub", "tcp://127.0.0.1:0", "a", "x"))
        _, there = self.forwarder(publisher.bound(), *self.allow("stranger"))
        subscriber = self.parley("sub", there, "--count", 1, "--curve-server", self.path("client"),
                                 "--curve-keys", self.path("stranger"))
        self.assert_done(subscriber, "a\tx\n")

    def test_a_forwarder_says_when_its_publisher_has_another_key(self):
        publisher = self.start_parley(*self.server("pub", "tcp://127.0.0.1:0", "a", "x"))
        node, _ = self.forwarder(publisher.bound(), server="stranger")
        self.assertIn("no secure connection at", node.line("err"))

    def test_a_forwarder_needs_both_halves_of_its_keys(self):
        for half in (["--curve-keys", self.path("server")], ["--curve-server", self.path("server")]):
            self.assert_fails(self.parley("forward", "--from", "tcp://127.0.0.1:1", "--to",
                                          "tcp://127.0.0.1:0", *half), 1, "are needed both")

    def test_encrypted_request_and_reply(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"))
        self.assert_done(self.parley(*self.client("req", server.bound(), "ping")), "pong\n")

    def test_encrypted_push_and_pull(self):
        source = self.start_parley(*self.server("push", "tcp://127.0.0.1:0", "one", "two"))
        self.assert_done(self.parley(*self.client("pull", source.bound(), "--count", 2)), "one\ntwo\n")
        self.assert_done(source.finish())

    def test_the_server_may_be_the_side_that_connects(self):
        worker = self.start_parley(*self.client("pull", "bind:tcp://127.0.0.1:0", "--count", 1))
        source = self.start_parley(*self.server("push", "connect:" + worker.bound(), "one"))
        self.assert_done(worker.finish(), "one\n")
        self.assert_done(source.finish())

    def test_a_client_needs_no_keys_of_its_own(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"))
        self.assert_done(self.parley("req", server.bound(), "ping", "--curve-server",
                                     self.path("server")), "pong\n")

    def test_who_is_on_the_list_is_let_in(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"),
                                   *self.allow("client"))
        self.assert_done(self.parley(*self.client("req", server.bound(), "ping")), "pong\n")

    def test_who_is_not_on_the_list_is_refused_and_both_are_told(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"),
                                   *self.allow("stranger"))
        result = self.parley(*self.client("req", server.bound(), "ping", "--timeout", 1))
        self.assert_fails(result, 5, "no secure connection")
        self.assertIn("allow list", server.line("err"))

    def test_a_wrong_server_key_is_told_on_both_sides(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"))
        result = self.parley(*self.client("req", server.bound(), "ping", "--timeout", 1,
                                          server="stranger"))
        self.assert_fails(result, 5, "no secure connection")
        self.assertIn(f"is '{self.path('stranger')}' that server's key", result.err)
        self.assertIn("encryption does not fit", server.line("err"))

    def test_a_client_without_keys_is_told_to_the_server(self):
        server = self.start_parley(*self.server("rep", "tcp://127.0.0.1:0", "pong"))
        self.assertEqual(self.parley("req", server.bound(), "ping", "--timeout", 0.5).code, 5)
        self.assertIn("no secure connection", server.line("err"))

    def stomp(self, gateway):
        """A STOMP client that is connected to it."""
        port = int(gateway.line("err").rpartition(":")[2])
        client = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.addCleanup(client.close)
        client.sendall(b"CONNECT\naccept-version:1.2\nhost:here\n\n\0")
        self.assertTrue(client.recv(4096).startswith(b"CONNECTED\n"))
        return client

    def test_the_gateways_source_is_the_server_of_its_workers(self):
        gateway = self.start_parley(*self.server("gateway", "--stomp", "127.0.0.1:0",
                                                 "--source", "jobs=tcp://127.0.0.1:0"))
        there = gateway.bound()
        self.stomp(gateway).sendall(b"SEND\ndestination:/queue/jobs\n\none\0")
        self.assert_done(self.parley(*self.client("pull", there, "--count", 1)), "one\n")

    def test_the_gateways_worker_is_a_client_of_its_source(self):
        source = self.start_parley(*self.server("push", "tcp://127.0.0.1:0", "one"))
        gateway = self.start_parley(*self.client("gateway", "--stomp", "127.0.0.1:0",
                                                 "--worker", "jobs=" + source.bound()))
        client = self.stomp(gateway)
        client.sendall(b"SUBSCRIBE\nid:0\ndestination:/queue/jobs\n\n\0")
        self.assertTrue(client.recv(4096).endswith(b"\n\none\0"))
        self.assert_done(source.finish())

    def test_a_gateway_tells_of_keys_that_do_not_fit(self):
        source = self.start_parley(*self.server("push", "tcp://127.0.0.1:0", "one"))
        gateway = self.start_parley(*self.client("gateway", "--stomp", "127.0.0.1:0",
                                                 "--worker", "jobs=" + source.bound(),
                                                 "--source", "other=tcp://127.0.0.1:0",
                                                 server="stranger"))
        there = gateway.bound()
        hint = f"is '{self.path('stranger')}' that server's key"
        while hint not in gateway.line("err"):
            pass
        self.assertEqual(self.parley("pull", there, "--timeout", 0.5).code, 2)
        # Why depends on which of the two hangs up first.
        while f"no secure connection at {there}: " not in gateway.line("err"):
            pass
        self.assertEqual(gateway.stop().code, 0)

    def test_a_gateway_with_half_of_its_keys_does_not_begin(self):
        for words in (["--subscribe", "tcp://127.0.0.1:1", "--curve-keys", self.path("server")],
                      ["--publish", "tcp://127.0.0.1:0", "--curve-server", self.path("server")]):
            result = self.parley("gateway", "--stomp", "127.0.0.1:0", *words)
            self.assert_fails(result, 1, "--curve-")

    def test_a_list_is_of_no_use_to_a_client(self):
        result = self.parley(*self.client("sub", "tcp://127.0.0.1:1"), *self.allow("client"))
        self.assert_fails(result, 1, "--curve-allow is of use to a server only")
        result = self.parley(*self.client("gateway", "--stomp", "127.0.0.1:0", "--subscribe",
                                          "tcp://127.0.0.1:1"), *self.allow("client"))
        self.assert_fails(result, 1, "--curve-allow is of use to a server only")

    def test_a_gateway_that_is_both_may_have_a_list(self):
        gateway = self.start_parley(*self.client("gateway", "--stomp", "127.0.0.1:0", "--source",
                                                 "jobs=tcp://127.0.0.1:0", "--subscribe",
                                                 "tcp://127.0.0.1:1"), *self.allow("client"))
        there = gateway.bound()
        self.stomp(gateway).sendall(b"SEND\ndestination:/queue/jobs\n\none\0")
        self.assert_done(self.parley("pull", there, "--count", 1, "--curve-keys",
                                     self.path("client"), "--curve-server",
                                     self.path("client")), "one\n")

    def test_a_file_that_holds_no_key_is_a_usage_error(self):
        with open(self.path("empty"), "w", encoding="utf-8"):
            pass
        for words in (["--curve-server", self.path("empty")], ["--curve-keys", self.path("nothing")],
                      ["--curve-allow", self.path("allowed")],
                      ["--curve-keys", self.path("server"), "--curve-allow", self.path("nothing")]):
            result = self.parley("sub", "tcp://127.0.0.1:1", *words)
            self.assert_fails(result, 1, "parley: ")


if __name__ == "__main__":
    unittest.main()
