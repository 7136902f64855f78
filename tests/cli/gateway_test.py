# SPDX-License-Identifier: MPL-2.0
import json
import signal
import socket
import unittest

from program import PATIENCE, ProgramTest


class Test(ProgramTest):
    def listening(self, *arguments):
        gateway = self.start_parley("gateway", "--stomp", "127.0.0.1:0", *arguments)
        return gateway, gateway.line("err")

    def test_gateway_says_where_it_listens(self):
        _, line = self.listening()
        self.assertRegex(line, r"^listening stomp 127\.0\.0\.1:[1-9][0-9]*$")

    def test_gateway_says_where_it_listens_as_json(self):
        gateway = self.start_parley("gateway", "--stomp", "127.0.0.1:0", "--json")
        line = json.loads(gateway.line())
        self.assertEqual((line["listening"], line["host"]), ("stomp", "127.0.0.1"))
        self.assertGreater(line["port"], 0)

    def test_gateway_serves_once_it_has_said_so(self):
        _, line = self.listening()
        with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), PATIENCE) as client:
            client.sendall(b"CONNECT\naccept-version:1.2\nhost:here\n\n\0")
            self.assertTrue(client.recv(4096).startswith(b"CONNECTED\n"))

    def test_gateway_names_its_native_endpoints_before_it_listens(self):
        gateway, first = self.listening("--publish", "tcp://127.0.0.1:0",
                                        "--source", "jobs=tcp://127.0.0.1:0",
                                        "--worker", "jobs=bind:tcp://127.0.0.1:0",
                                        "--service", "add=bind:tcp://127.0.0.1:0")
        lines = [first] + [gateway.line("err") for _ in range(4)]
        self.assertEqual([line.split()[0] for line in lines], ["bound"] * 4 + ["listening"])

    def test_a_port_in_use_ends_the_gateway_with_3(self):
        _, line = self.listening()
        address = line.split()[-1]
        self.assert_fails(self.parley("gateway", "--stomp", address), 3, address)

    def test_a_gateway_for_the_whole_network_must_be_asked_for(self):
        self.assert_fails(self.parley("gateway", "--stomp", "0.0.0.0:0"), 1, "--allow-anonymous")
        gateway = self.start_parley("gateway", "--stomp", "0.0.0.0:0", "--allow-anonymous")
        self.assertRegex(gateway.line("err"), r"^listening stomp 0\.0\.0\.0:[1-9][0-9]*$")

    def test_a_malformed_address_is_a_usage_error(self):
        self.assert_fails(self.parley("gateway", "--stomp", "localhost"), 1, "the port is missing")

    def test_a_queue_without_an_endpoint_is_a_usage_error(self):
        self.assert_fails(self.parley("gateway", "--stomp", "127.0.0.1:0", "--source", "jobs"), 1,
                          "--source 'jobs' (expected NAME=ENDPOINT)")

    def test_an_interrupted_gateway_is_done_although_clients_are_connected(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            gateway, line = self.listening("--subscribe", "bind:tcp://127.0.0.1:0",
                                           "--service", "add=tcp://127.0.0.1:1")
            port = int(gateway.line("err").rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(b"CONNECT\naccept-version:1.2\nhost:here\n\n\0")
                client.recv(4096)
                self.assertEqual(gateway.stop(number).code, 0)


if __name__ == "__main__":
    unittest.main()
