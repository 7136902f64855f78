# SPDX-License-Identifier: MPL-2.0
"""What zyre and pyre say, byte for byte as they were heard to say it, and how they listen."""

import os
import socket
import struct
import time
import unittest

import zmq
from zmq.utils import z85

from program import PATIENCE
from zmq_test import ZmqTest, where

HELLO, WHISPER, SHOUT, JOIN, LEAVE, PING, PING_OK = range(1, 8)

# Recorded of zyre d8370f7 (after 2.0.1) over czmq 4.2.1, and of pyre 0.3.5 (8fb98d5) over pyzmq
# 24.0.1: a node named zed with a header X-KIND starts, greets, joins CHAT and lobby, whispers
# "psst", shouts "all of you" to CHAT, leaves CHAT, and goes. zyre asks after five seconds; pyre had
# been asked. Only the port, and the endpoint in HELLO, are those of this test.
RECORDED_ENDPOINT = b"\x14tcp://10.1.0.2:49152"
RECORDED_KEY = b"d]ERk}2.D[+ai}7YMV:q:0W)3d#QoLUm=u)sV4Pq"  # of a secured zyre, see zre_curve_test.py
ZYRE = [bytes.fromhex(frame) for frame in (
    "5a524501509bb0da29b340f6941a4d68b692ae87",
    "aaa101020001147463703a2f2f31302e312e302e323a34393135320000000000037a6564"
    "0000000106582d4b494e44000000047a797265",
    "aaa104020002044348415401",
    "aaa104020003056c6f62627902",
    "aaa102020004",
    "aaa1030200050443484154",
    "aaa105020006044348415403",
    "aaa106020007")]
PYRE = [bytes.fromhex(frame) for frame in (
    "5a5245011cfe43f7619c4ceca5c89bf6879e0740",
    "aaa101020001147463703a2f2f31302e312e302e323a34393135320000000000037a6564"
    "0000000106582d4b494e440000000470797265",
    "aaa104020002044348415401",
    "aaa104020003056c6f62627902",
    "aaa102020004",
    "aaa1030200050443484154",
    "aaa105020006044348415403")]


class Foreign:
    """A node that listens as zyre does, or as pyre does, and says what it is told to."""

    def __init__(self, test, port, recorded, keys=None):
        self.uuid = recorded[0][4:]
        self.keys = keys  # public and secret, of a secured one
        self.recorded = recorded
        self.last = 65534 if recorded is PYRE else 65535  # number, before the next is 0
        self.inbox = test.context.socket(zmq.ROUTER)
        test.addCleanup(self.inbox.close, linger=0)
        self.inbox.rcvtimeo = PATIENCE * 1000
        self.inbox.router_handover = True
        self.inbox.rcvhwm = 0
        if keys:
            self.inbox.curve_server = True
            self.inbox.curve_publickey, self.inbox.curve_secretkey = keys
        self.inbox.bind("tcp://127.0.0.1:*")
        self.port = int(where(self.inbox).rpartition(":")[2])
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        test.addCleanup(self.udp.close)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.udp.bind(("", port))
        self.beacon_port = port
        self.test = test
        self.line = None
        self.said = self.heard = 0
        self.other = None  # the other node's id, where its mailbox is, and its key
        self.mailbox = None
        self.other_key = None

    def send_beacon(self, port=None, datagram=None):
        mine = self.recorded[0] + struct.pack(">H", self.port if port is None else port)
        mine += z85.decode(self.keys[0]) if self.keys else b""
        self.udp.sendto(datagram or mine, ("127.255.255.255", self.beacon_port))

    def find(self):
        """Hears the beacon of the other node."""
        self.udp.settimeout(PATIENCE)
        while True:
            beacon = self.udp.recv(2000)
            if (len(beacon) == (54 if self.keys else 22) and beacon[4:20] != self.uuid
                    and beacon[20:22] != b"\0\0"):
                self.test.assertEqual(beacon[:4], b"ZRE\3" if self.keys else b"ZRE\1")
                self.other = beacon[4:20]
                self.mailbox = struct.unpack(">H", beacon[20:22])[0]
                self.other_key = beacon[22:]
                return

    def connect(self):
        if self.line:
            self.line.close(linger=0)
        self.line = self.test.context.socket(zmq.DEALER)
        self.test.addCleanup(self.line.close, linger=0)
        self.line.routing_id = b"\1" + self.uuid
        self.line.sndtimeo = PATIENCE * 1000
        if self.keys:
            self.line.curve_publickey, self.line.curve_secretkey = self.keys
            self.line.curve_serverkey = z85.encode(self.other_key)
        self.line.connect(f"tcp://127.0.0.1:{self.mailbox}")
        self.said = 0

    def say_bytes(self, frame, *content):
        self.line.send_multipart([frame, *content])
        self.said = struct.unpack(">H", frame[4:6])[0]

    def say(self, command, fields=b"", *content):
        self.said = 0 if self.said == self.last else self.said + 1
        self.say_bytes(b"\xaa\xa1" + bytes([command, 2]) + struct.pack(">H", self.said) + fields, *content)

    def greet(self, endpoint=None):
        self.connect()
        endpoint = endpoint or f"tcp://127.0.0.1:{self.port}"
        hello = self.recorded[1].replace(RECORDED_ENDPOINT, bytes([len(endpoint)]) + endpoint.encode())
        self.say_bytes(hello.replace(RECORDED_KEY, self.keys[0]) if self.keys else hello)

    def hear(self):
        """The next message of the other node, in its turn: command, the rest of its frame, content."""
        address, head, *content = self.inbox.recv_multipart()
        self.test.assertEqual(address, b"\1" + self.other)
        self.test.assertEqual(head[:2] + head[3:4], b"\xaa\xa1\2")
        number = struct.unpack(">H", head[4:6])[0]
        wanted = 1 if head[2] == HELLO else 0 if self.heard == self.last else self.heard + 1
        if number != wanted:
            return None  # out of step: zyre and pyre forget the peer now
        self.heard = number
        return head[2], head[6:], content

    def await_command(self, command):
        while True:
            heard = self.hear()
            self.test.assertIsNotNone(heard)
            if heard[0] == command:
                return heard[1:]
            if heard[0] == PING:
                self.say(PING_OK)

    def meet(self):
        self.find()
        self.greet()
        return self.await_command(HELLO)


class NodeTest(ZmqTest):
    def setUp(self):
        super().setUp()
        self.held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.held.close)
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("", 0))
        self.port = self.held.getsockname()[1]

    def node(self, evasive=60000, expired=120000, security=()):
        node = self.start(os.environ["PARLEY_NODE"], *security, "ada", self.port, evasive, expired, "lo")
        self.id = bytes.fromhex(node.line().split()[1])
        return node

    def status(self, node):
        node.write("status\n")
        while not (line := node.line()).startswith("status "):
            pass
        return dict(zip(line.split()[1::2], line.split()[2::2]))

    def await_status(self, node, name, least):
        end = time.monotonic() + PATIENCE
        while int(self.status(node)[name]) < least:
            self.assertLess(time.monotonic(), end, node.describe())

    def await_lines(self, node, last):
        while node.line() != last:
            pass


class Test(NodeTest):
    def test_what_zyre_and_pyre_say_is_understood(self):
        for recorded, kind in ((ZYRE, "zyre"), (PYRE, "pyre")):
            node = self.node()
            node.write("join CHAT\n")
            zed = Foreign(self, self.port, recorded)
            zed.meet()
            self.assertRegex(node.line(), rf"enter zed tcp://127.0.0.1:\d+ X-KIND={kind}$")
            for frame in recorded[2:]:
                zed.say_bytes(frame, *{WHISPER: [b"psst"], SHOUT: [b"all of you"]}.get(frame[2], []))
            for line in ("join zed CHAT", "join zed lobby", "whisper zed psst", "shout zed CHAT all of you",
                         "leave zed CHAT"):
                self.assertEqual(node.line(), line)
            if recorded is ZYRE:
                zed.await_command(PING_OK)
            zed.send_beacon(port=0)
            self.assertEqual(node.line(), "exit zed left")
            node.write("quit\n")
            self.assertEqual(node.finish().code, 0)

    def test_a_peer_that_is_found_by_its_beacon_is_greeted(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        zed.find()
        zed.send_beacon()
        zed.await_command(HELLO)
        zed.greet()
        self.assertRegex(node.line(), "enter zed ")

    def test_what_we_say_is_what_the_specification_says(self):
        node = self.node()
        node.write("join CHAT\njoin lobby\n")
        self.status(node)  # and has joined
        zed = Foreign(self, self.port, ZYRE)
        fields, _ = zed.meet()
        endpoint = f"tcp://127.0.0.1:{zed.mailbox}".encode()
        self.assertEqual(zed.other, self.id)
        self.assertEqual(fields, bytes([len(endpoint)]) + endpoint
                         + b"\0\0\0\2" b"\0\0\0\4CHAT" b"\0\0\0\5lobby" b"\2" b"\3ada"
                         + b"\0\0\0\1" b"\x08X-PARLEY" b"\0\0\0\x011")
        zed.say(JOIN, b"\4CHAT\1")
        self.await_lines(node, "join zed CHAT")
        node.write("whisper zed psst\nshout CHAT all\nleave CHAT\njoin office\n")
        self.assertEqual([zed.hear() for _ in range(4)],
                         [(WHISPER, b"", [b"psst"]), (SHOUT, b"\4CHAT", [b"all"]),
                          (LEAVE, b"\4CHAT\3", []), (JOIN, b"\6office\4", [])])
        node.write("quit\n")
        node.finish()
        with self.assertRaises(zmq.Again):  # no GOODBYE: pyre does not know it
            zed.inbox.recv_multipart(zmq.DONTWAIT)

    def test_seventy_thousand_messages_arrive_however_their_sender_counts(self):
        for recorded in (ZYRE, PYRE):
            node = self.node()
            zed = Foreign(self, self.port, recorded)
            zed.meet()
            self.assertRegex(node.line(), "enter zed ")
            for number in range(70_000):
                zed.say(WHISPER, b"", str(number).encode())
            for number in range(70_000):
                self.assertEqual(node.line(), f"whisper zed {number}")
            node.write("quit\n")
            node.finish()

    def test_seventy_thousand_messages_reach_zyre(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        zed.meet()
        node.write("count zed 70000\n")
        for number in range(70_000):
            self.assertEqual(zed.await_command(WHISPER)[1], [str(number).encode()])
        self.assertEqual(self.status(node)["exited"], "0")

    def test_seventy_thousand_messages_reach_pyre_although_it_breaks_the_link_once(self):
        node = self.node()
        zed = Foreign(self, self.port, PYRE)
        zed.meet()
        node.write("count zed 140000\n")
        number = breaks = 0
        while number < 140_000:
            heard = zed.hear()
            if heard is None:
                breaks += 1  # it greets anew, at the next beacon
                zed.greet()
                zed.await_command(HELLO)
            elif heard[0] == WHISPER:
                self.assertEqual(heard[2], [str(number).encode()])
                number += 1
            elif heard[0] == PING:
                zed.say(PING_OK)
        self.assertEqual(breaks, 1)

    def test_a_gap_in_the_numbers_heals(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        zed.meet()
        zed.said += 1
        zed.say(WHISPER, b"", b"after the gap")
        zed.await_command(HELLO)
        zed.greet()
        zed.say(WHISPER, b"", b"hello")
        for line in ("enter zed", "exit zed out of step", "enter zed", "whisper zed hello"):
            self.assertTrue(node.line().startswith(line))

    def test_elections_of_zyre_are_passed_over(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        zed.meet()
        zed.say(8, b"\4CHAT" b"\x20509BB0DA29B340F6941A4D68B692AE87")
        zed.say(9, b"\4CHAT" b"\x20509BB0DA29B340F6941A4D68B692AE87")
        zed.say(WHISPER, b"", b"hello")
        self.assertRegex(node.line(), "enter zed")
        self.assertEqual(node.line(), "whisper zed hello")

    def test_the_name_of_a_host_in_hello_does_not_matter(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        zed.find()
        zed.greet(endpoint=f"tcp://vm:{zed.port}")
        zed.await_command(HELLO)
        self.assertRegex(node.line(), "enter zed")

    def test_nodes_of_other_versions_are_passed_over_and_counted(self):
        node = self.node()
        zed = Foreign(self, self.port, ZYRE)
        secure = b"ZRE\3" + os.urandom(16) + b"\xc0\0" + os.urandom(32)
        for datagram in (secure, secure[:53], zed.recorded[0], b"ZRE\1", b"ZRE", b"x" * 1000):
            zed.send_beacon(datagram=datagram)
        zed.meet()
        zed.connect()
        zed.line.send(zed.recorded[1][:3] + b"\1" + zed.recorded[1][4:])  # jyre, RFC 20
        zed.say_bytes(zed.recorded[1][:20])
        self.await_status(node, "other_version", 2)
        self.await_status(node, "nonsense", 6)
        self.assertEqual(self.status(node)["here"], "1")

    def test_an_idle_peer_is_asked_and_answers(self):
        node = self.node(evasive=200, expired=60000)
        zed = Foreign(self, self.port, ZYRE)
        zed.meet()
        for _ in range(3):
            zed.await_command(PING)
            zed.say(PING_OK)
        self.assertEqual(self.status(node)["exited"], "0")


if __name__ == "__main__":
    unittest.main()
