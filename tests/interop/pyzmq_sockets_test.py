# SPDX-License-Identifier: MPL-2.0
"""Each kind of our sockets with each kind of plain ones that may talk to it, over tcp and ipc."""

import os
import tempfile
import unittest

import zmq

from program import PATIENCE
from zmq_test import ZmqTest, where

LARGE = bytes(range(256)) * 4096  # 1 MiB
MESSAGES = [
    [b"one frame"],
    [b""],
    [b"head", b"", b"\x00\xff" * 50],
    [b"", b"empty first, empty last", b""],
    [str(number).encode() for number in range(100)],
    [LARGE],
    [b"head", LARGE, b""],
]


class OurSocket:
    """A socket of ours in a process of its own."""

    def __init__(self, program):
        self.program = program

    def ask(self, *words):
        self.program.write(" ".join(words) + "\n")
        return self.program.line()

    def send(self, frames):
        answer = self.ask("send", *(frame.hex() or "-" for frame in frames))
        assert answer == "sent", answer

    def receive(self, meanwhile=None):
        self.begin_to_receive()
        while meanwhile and self.program.lines["out"].empty():
            meanwhile()
        return self.received()

    def begin_to_receive(self):
        self.program.write("receive\n")

    def received(self):
        answer = self.program.line()
        assert answer != "nothing", self.program.describe()
        return [b"" if word == "-" else bytes.fromhex(word) for word in answer.split(" ")]


class Test(ZmqTest):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def ours(self, kind, side, there, *options):
        return self.start(os.environ["PARLEY_SOCKET_PEER"], kind, side, there, *options)

    def meetings(self, our_kind, their_kind, identity=None):
        """Both, over tcp and ipc, and with either as the one that is bound."""
        for transport in ("tcp", "ipc"):
            free = "tcp://127.0.0.1:0" if transport == "tcp" else f"ipc://{self.directory}/a"
            program = self.ours(our_kind, "bind", free)
            theirs = self.plain(their_kind, identity)
            theirs.connect(program.bound())
            yield OurSocket(program), theirs
            theirs.close(linger=0)
            program.close()

            free = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{self.directory}/b"
            theirs = self.plain(their_kind, identity)
            theirs.bind(free)
            program = self.ours(our_kind, "connect", where(theirs))
            yield OurSocket(program), theirs
            theirs.close(linger=0)
            program.close()

    def plain(self, kind, identity):
        socket = self.context.socket(kind)
        self.addCleanup(socket.close, linger=0)
        socket.rcvtimeo = socket.sndtimeo = PATIENCE * 1000
        if identity:
            socket.identity = identity
        return socket

    def hears_us(self, ours, theirs, messages=None):
        for frames in messages or MESSAGES:
            ours.send(frames)
            self.assertEqual(theirs.recv_multipart(), frames)

    def is_heard(self, ours, theirs, messages=None):
        for frames in messages or MESSAGES:
            theirs.send_multipart(frames)
            self.assertEqual(ours.receive(), frames)

    def test_our_pair_and_a_plain_pair(self):
        for ours, theirs in self.meetings("pair", zmq.PAIR):
            self.hears_us(ours, theirs)
            self.is_heard(ours, theirs)

    def test_our_push_and_a_plain_pull(self):
        for ours, theirs in self.meetings("push", zmq.PULL):
            self.hears_us(ours, theirs)

    def test_our_pull_and_a_plain_push(self):
        for ours, theirs in self.meetings("pull", zmq.PUSH):
            self.is_heard(ours, theirs)

    # A topic is in the first frame, so the messages that do not begin with it do not come.
    TOPICS = [[b"news."] + frames for frames in MESSAGES] + [[b"news.last"]]

    def publishes(self, kind):
        for their_kind in (zmq.SUB, zmq.XSUB):
            for ours, theirs in self.meetings(kind, their_kind):
                if their_kind == zmq.SUB:
                    theirs.subscribe("news.")
                else:
                    theirs.send(b"\x01news.")
                if kind == "xpub":
                    # A bound subscriber says so only when it is used.
                    self.assertEqual(ours.receive(lambda: theirs.poll(10)), [b"\x01news."])
                else:
                    # pub does not tell of subscribers: the first message that comes does.
                    theirs.rcvtimeo = 20
                    while True:
                        ours.send([b"news.begin"])
                        try:
                            theirs.recv_multipart()
                            break
                        except zmq.Again:
                            pass
                    theirs.rcvtimeo = PATIENCE * 1000
                ours.send([b"weather", b"rain"])
                ours.send([b"news.first"])
                while theirs.recv_multipart() != [b"news.first"]:
                    pass
                self.hears_us(ours, theirs, self.TOPICS)

    def test_our_pub_and_plain_subscribers(self):
        self.publishes("pub")

    def test_our_xpub_and_plain_subscribers(self):
        self.publishes("xpub")

    def subscribes(self, kind):
        for ours, theirs in self.meetings(kind, zmq.XPUB):
            ours.ask("subscribe", "news.")
            ours.begin_to_receive()  # a bound subscriber says so only when it is used
            self.assertEqual(theirs.recv(), b"\x01news.")
            theirs.send_multipart([b"weather", b"rain"])
            theirs.send(b"news.first")
            self.assertEqual(ours.received(), [b"news.first"])
            self.is_heard(ours, theirs, self.TOPICS)

    def test_our_sub_and_a_plain_publisher(self):
        self.subscribes("sub")

    def test_our_xsub_and_a_plain_publisher(self):
        self.subscribes("xsub")

    def test_our_xsub_sends_upstream(self):
        for ours, theirs in self.meetings("xsub", zmq.XPUB):
            ours.ask("subscribe", "a")
            ours.begin_to_receive()
            self.assertEqual(theirs.recv(), b"\x01a")
            theirs.send(b"a")
            self.assertEqual(ours.received(), [b"a"])
            ours.send([b"upstream", b"and more"])
            self.assertEqual(theirs.recv_multipart(), [b"upstream", b"and more"])

    def test_our_req_and_a_plain_rep(self):
        for ours, theirs in self.meetings("req", zmq.REP):
            for frames in MESSAGES:
                self.hears_us(ours, theirs, [frames])
                self.is_heard(ours, theirs, [frames])

    def test_our_rep_and_a_plain_req(self):
        for ours, theirs in self.meetings("rep", zmq.REQ):
            for frames in MESSAGES:
                self.is_heard(ours, theirs, [frames])
                self.hears_us(ours, theirs, [frames])

    def test_our_req_and_a_plain_router(self):
        for ours, theirs in self.meetings("req", zmq.ROUTER):
            for frames in MESSAGES:
                ours.send(frames)
                name, delimiter, *rest = theirs.recv_multipart()
                self.assertEqual((delimiter, rest), (b"", frames))
                theirs.send_multipart([name, b""] + frames)
                self.assertEqual(ours.receive(), frames)

    def test_our_router_and_a_plain_req(self):
        for ours, theirs in self.meetings("router", zmq.REQ, b"desk-7"):
            for frames in MESSAGES:
                theirs.send_multipart(frames)
                self.assertEqual(ours.receive(), [b"desk-7", b""] + frames)
                ours.send([b"desk-7", b""] + frames)
                self.assertEqual(theirs.recv_multipart(), frames)

    def test_our_dealer_and_a_plain_rep(self):
        for ours, theirs in self.meetings("dealer", zmq.REP):
            for frames in MESSAGES:
                ours.send([b""] + frames)
                self.assertEqual(theirs.recv_multipart(), frames)
                theirs.send_multipart(frames)
                self.assertEqual(ours.receive(), [b""] + frames)

    def test_our_rep_and_a_plain_dealer(self):
        for ours, theirs in self.meetings("rep", zmq.DEALER):
            for frames in MESSAGES:
                theirs.send_multipart([b"envelope", b""] + frames)
                self.assertEqual(ours.receive(), frames)
                ours.send(frames)
                self.assertEqual(theirs.recv_multipart(), [b"envelope", b""] + frames)

    def test_our_dealer_and_a_plain_dealer(self):
        for ours, theirs in self.meetings("dealer", zmq.DEALER):
            self.hears_us(ours, theirs)
            self.is_heard(ours, theirs)

    def test_our_dealer_and_a_plain_router(self):
        for ours, theirs in self.meetings("dealer", zmq.ROUTER):
            for frames in MESSAGES:
                ours.send(frames)
                name, *rest = theirs.recv_multipart()
                self.assertEqual(rest, frames)
                theirs.send_multipart([name] + frames)
                self.assertEqual(ours.receive(), frames)

    def test_our_router_and_a_plain_dealer(self):
        for ours, theirs in self.meetings("router", zmq.DEALER, b"desk-7"):
            for frames in MESSAGES:
                theirs.send_multipart(frames)
                self.assertEqual(ours.receive(), [b"desk-7"] + frames)
                ours.send([b"desk-7"] + frames)
                self.assertEqual(theirs.recv_multipart(), frames)

    def test_our_router_and_a_plain_router(self):
        for ours, theirs in self.meetings("router", zmq.ROUTER, b"desk-7"):
            theirs.router_mandatory = 1
            ours.ask("ready")  # knows its name from then on
            for frames in MESSAGES:
                ours.send([b"desk-7"] + frames)
                name, *rest = theirs.recv_multipart()
                self.assertEqual(rest, frames)
                theirs.send_multipart([name] + frames)
                self.assertEqual(ours.receive(), [b"desk-7"] + frames)

    def test_our_batching_sockets_and_plain_ones(self):
        for our_kind, their_kind in (("push", zmq.PULL), ("pair", zmq.PAIR), ("dealer", zmq.DEALER)):
            for free in ("tcp://127.0.0.1:*", f"ipc://{self.directory}/{our_kind}"):
                theirs = self.plain(their_kind, None)
                events = theirs.get_monitor_socket(zmq.EVENT_DISCONNECTED)
                theirs.bind(free)
                ours = OurSocket(self.ours(our_kind, "connect", where(theirs), "--batch"))
                # Who asked whether we unpack has gone.
                self.assertTrue(events.poll(PATIENCE * 1000))
                theirs.disable_monitor()
                self.assertEqual(ours.ask("count", "500"), "0")
                for number in range(500):
                    self.assertEqual(theirs.recv_multipart(), [str(number).encode()])
                self.hears_us(ours, theirs)
                if our_kind != "push":
                    self.is_heard(ours, theirs)

    def test_a_plain_push_beside_one_of_ours_that_batches(self):
        program = self.ours("pull", "bind", "tcp://127.0.0.1:0")
        there = program.bound()
        pull = OurSocket(program)
        batching = OurSocket(self.ours("push", "connect", there, "--batch"))
        plain = self.plain(zmq.PUSH, None)
        plain.connect(there)

        batches = 0
        while batches == 0:  # until it has found out that the pull unpacks
            batches = int(batching.ask("count", "100"))
            for number in range(100):
                self.assertEqual(pull.receive(), [str(number).encode()])

        self.assertGreater(int(batching.ask("count", "300")), batches)
        for number in range(300):
            plain.send_multipart([b"plain", str(number).encode()])
        received = [pull.receive() for _ in range(600)]
        numbers = [str(number).encode() for number in range(300)]
        self.assertEqual([frames[0] for frames in received if len(frames) == 1], numbers)
        self.assertEqual([frames[1] for frames in received if frames[0] == b"plain"], numbers)

    def stream_data(self, receive):
        """The next bytes, whatever connections are told of before."""
        while True:
            name, data = receive()
            if data:
                return name, data

    def test_our_stream_and_a_plain_stream(self):
        theirs = self.plain(zmq.STREAM, None)
        theirs.bind("tcp://127.0.0.1:*")
        ours = OurSocket(self.ours("stream", "connect", where(theirs)))
        name, opened = ours.receive()
        self.assertEqual(opened, b"")
        ours.send([name, b"GET / HTTP/1.0\r\n\r\n"])
        their_name, data = self.stream_data(theirs.recv_multipart)
        self.assertEqual(data, b"GET / HTTP/1.0\r\n\r\n")
        theirs.send_multipart([their_name, b"404\r\n"])
        self.assertEqual(self.stream_data(ours.receive)[1], b"404\r\n")

    def test_our_bound_stream_and_a_plain_stream(self):
        program = self.ours("stream", "bind", "tcp://127.0.0.1:0")
        theirs = self.plain(zmq.STREAM, None)
        theirs.connect(program.bound())
        ours = OurSocket(program)
        name, opened = theirs.recv_multipart()
        self.assertEqual(opened, b"")
        theirs.send_multipart([name, LARGE])
        received = b""
        while len(received) < len(LARGE):
            our_name, data = self.stream_data(ours.receive)
            received += data
        self.assertEqual(received, LARGE)
        ours.send([our_name, b"thanks"])
        self.assertEqual(self.stream_data(theirs.recv_multipart)[1], b"thanks")


if __name__ == "__main__":
    unittest.main()
