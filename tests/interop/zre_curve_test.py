# SPDX-License-Identifier: MPL-2.0
"""Secured networks: what a zyre with a certificate says, and those who are not to come in."""

import os
import socket
import tempfile
import unittest

import zmq
from zmq.utils import z85

import zre_test
from program import PATIENCE
from zre_test import HELLO, PING, PING_OK, RECORDED_ENDPOINT, RECORDED_KEY, SHOUT, WHISPER

# Recorded of zyre d8370f7 (after 2.0.1) over czmq 4.2.1 and libzmq 4.3.4: a node named zed with a
# certificate (zyre_set_zcert) and a header X-KIND is in CHAT, shouts "all of you" to it, whispers
# "psst", answers a question, and leaves CHAT. Only ports, the endpoint and the key are of the test.
SECURED_ZYRE = [bytes.fromhex(frame) for frame in (
    "5a5245038351b3667f684e11bb66fdcccc97b56f",
    "aaa101020001147463703a2f2f31302e312e302e323a343931353200000001000000044348415401037a6564"
    "000000020b582d5055424c49434b455900000028"
    "645d45526b7d322e445b2b61697d37594d563a713a305729336423516f4c556d3d75297356345071"
    "06582d4b494e44000000047a797265",
    "aaa1030200020443484154",
    "aaa102020003",
    "aaa106020004",
    "aaa105020005044348415402")]


class Test(zre_test.NodeTest):
    def setUp(self):
        super().setUp()
        self.assertIn(RECORDED_ENDPOINT, SECURED_ZYRE[1])
        self.assertIn(RECORDED_KEY, SECURED_ZYRE[1])
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.zed_keys = zmq.curve_keypair()
        public, secret = zmq.curve_keypair()
        self.key = public.decode()
        with open(self.path("ada"), "w", encoding="utf-8") as file:
            file.write(f'curve\n    public-key = "{self.key}"\n    secret-key = "{secret.decode()}"\n')

    def path(self, name):
        return os.path.join(self.directory, name)

    def secured_node(self, *allowed):
        security = ["--keys", self.path("ada")]
        if allowed:
            with open(self.path("allowed"), "w", encoding="utf-8") as file:
                file.write("".join(keys[0].decode() + "\n" for keys in allowed))
            security += ["--allow", self.path("allowed")]
        return self.node(security=security)

    def zed(self, keys=None, recorded=None):
        return zre_test.Foreign(self, self.port, recorded or SECURED_ZYRE, keys or self.zed_keys)

    def enter(self, node):
        self.assertRegex(node.line(), r"^enter zed tcp://127.0.0.1:\d+ X-KIND=zyre X-PUBLICKEY=")
        self.assertEqual(node.line(), "join zed CHAT")

    def test_what_a_secured_zyre_says_is_understood(self):
        node = self.secured_node(self.zed_keys)
        node.write("join CHAT\n")
        zed = self.zed()
        zed.meet()
        self.enter(node)
        for frame in SECURED_ZYRE[2:]:
            zed.say_bytes(frame, *{WHISPER: [b"psst"], SHOUT: [b"all of you"]}.get(frame[2], []))
        for line in ("shout zed CHAT all of you", "whisper zed psst", "leave zed CHAT"):
            self.assertEqual(node.line(), line)
        node.write("status\n")
        self.assertTrue(node.line().endswith(" key " + self.zed_keys[0].decode()))
        node.write("quit\n")
        self.assertEqual(node.finish().code, 0)

    def test_a_secured_peer_that_is_found_by_its_beacon_is_greeted_with_our_key(self):
        node = self.secured_node()
        zed = self.zed()
        zed.find()
        self.assertEqual(z85.encode(zed.other_key).decode(), self.key)
        zed.send_beacon()
        fields, _ = zed.await_command(HELLO)
        self.assertIn(b"\x0bX-PUBLICKEY\0\0\0\x28" + self.key.encode(), fields)
        zed.greet()
        self.enter(node)
        node.write("whisper zed psst\nshout CHAT all\n")
        self.assertEqual(zed.await_command(WHISPER), (b"", [b"psst"]))
        self.assertEqual(zed.await_command(SHOUT), (b"\4CHAT", [b"all"]))

    def test_who_is_not_on_the_list_is_neither_dialled_nor_let_in(self):
        node = self.secured_node(zmq.curve_keypair())
        zed = self.zed()
        zed.find()
        zed.send_beacon()
        self.await_status(node, "not_allowed", 1)
        zed.greet()
        self.await_status(node, "not_allowed", 2)
        self.assertEqual((self.status(node)["entered"], zed.inbox.poll(0)), ("0", 0))

    def test_who_has_no_keys_is_not_let_in(self):
        node = self.secured_node()
        zed = self.zed()
        zed.find()
        # By hand: libzmq might hang up first, when it sees that they differ.
        plain = socket.create_connection(("127.0.0.1", zed.mailbox), PATIENCE)
        self.addCleanup(plain.close)
        plain.sendall(b"\xff" + bytes(8) + b"\x7f\3\0NULL" + bytes(16) + bytes(32))
        while plain.recv(100):
            pass
        self.await_status(node, "other_version", 1)
        zed.send_beacon(datagram=zre_test.ZYRE[0] + b"\xc0\0")
        self.await_status(node, "other_version", 2)
        self.assertEqual(self.status(node)["entered"], "0")

    def test_an_impostors_beacon_and_greeting_in_anothers_name_come_to_nothing(self):
        node = self.secured_node()
        zed = self.zed()
        zed.meet()
        self.enter(node)
        zed.await_command(PING)  # whether he lets us in
        zed.say(PING_OK)
        eve = self.zed(keys=zmq.curve_keypair())  # with zed's id
        eve.find()
        eve.send_beacon()
        self.await_status(node, "not_allowed", 1)
        self.assertEqual(eve.inbox.poll(0), 0)
        eve.send_beacon(port=0)
        zed.say(WHISPER, b"", b"still here")
        self.assertEqual(node.line(), "whisper zed still here")
        # She may connect, and takes zed's ear with his id: he is asked to greet again, and heard.
        eve.greet()
        self.assertEqual(node.line(), "exit zed out of step")
        eve.say(WHISPER, b"", b"give me the money")
        zed.await_command(HELLO)
        zed.greet()
        self.enter(node)
        zed.say(WHISPER, b"", b"hello")
        self.assertEqual(node.line(), "whisper zed hello")
        self.assertEqual(eve.inbox.poll(0), 0)


if __name__ == "__main__":
    unittest.main()
