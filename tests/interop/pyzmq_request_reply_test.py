# SPDX-License-Identifier: MPL-2.0
import os
import struct
import subprocess
import sys
import unittest

import msgpack
import zmq

from zmq_test import ZmqTest, where

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2

# docs/wire.md, the header.
HEADER = struct.Struct("!5sBBQQIQI")
MAGIC = b"\xffPRC\x01"
CALL, CREDIT, ASK, PING = 0x01, 0x03, 0x04, 0x05
REPLY, ITEM, UNKNOWN, PONG = 0x11, 0x12, 0x14, 0x15
IDEMPOTENT, STREAMED, CARRIES = 0x01, 0x02, 0x08


def header(kind, flags=0, id=0, time=0, amount=0):
    return HEADER.pack(MAGIC, kind, flags, id, time, amount, 0, 0)


def kind_and_id(frame):
    magic, kind, _, id, _, _, _, _ = HEADER.unpack_from(frame)
    assert magic == MAGIC
    return kind, id


class Test(ZmqTest):
    def calculator(self):
        return self.start(os.environ["PARLEY_CALCULATOR"]).bound()

    def client(self, kind=zmq.REQ):
        return self.socket(kind, connect=self.calculator())

    def call(self, client, number, method, *parameters):
        client.send(msgpack.packb([REQUEST, number, method, parameters]))
        return msgpack.unpackb(client.recv())

    def test_a_plain_req_calls_our_server(self):
        self.assertEqual(self.call(self.client(), 7, "add", 2, 3), [RESPONSE, 7, None, 5])

    def test_a_result_may_be_a_map(self):
        self.assertEqual(self.call(self.client(), 1, "describe", "Grüße"),
                         [RESPONSE, 1, None, {"name": "Grüße"}])

    def test_a_plain_dealer_has_many_calls_in_flight(self):
        dealer = self.client(zmq.DEALER)
        for number in range(100):
            dealer.send_multipart([b"", msgpack.packb([REQUEST, number, "add", [number, 1]])])
        replies = {}
        for _ in range(100):
            delimiter, body = dealer.recv_multipart()
            self.assertEqual(delimiter, b"")
            kind, number, error, result = msgpack.unpackb(body)
            self.assertEqual((kind, error), (RESPONSE, None))
            replies[number] = result
        self.assertEqual(replies, {number: number + 1 for number in range(100)})

    def test_parameters_may_be_named(self):
        client = self.client()
        client.send(msgpack.packb([REQUEST, 8, "add", {"right": 3, "left": 2}]))
        self.assertEqual(msgpack.unpackb(client.recv()), [RESPONSE, 8, None, 5])

    def test_a_stream_comes_in_one_array(self):
        self.assertEqual(self.call(self.client(), 9, "count", 3), [RESPONSE, 9, None, [0, 1, 2]])

    def test_the_python_example_calls_a_server(self):
        example = os.path.join(os.environ["PARLEY_EXAMPLES"], "calculator_client.py")
        said = subprocess.run([sys.executable, example, self.calculator()], capture_output=True,
                              text=True, timeout=30).stdout
        self.assertIn("add(int, int) -> int\n", said)
        self.assertTrue(said.endswith("2 + 3 = 5\n"), said)

    # As docs/wire.md has it, octet by octet.

    def test_a_ping_is_answered(self):
        dealer = self.client(zmq.DEALER)
        dealer.send(header(PING, id=77))
        self.assertEqual(kind_and_id(dealer.recv()), (PONG, 77))

    def test_a_request_with_a_header_is_answered_with_one(self):
        dealer = self.client(zmq.DEALER)
        request = msgpack.packb([REQUEST, 1, "add", [2, 3]])
        dealer.send_multipart([header(CALL, id=5, time=5_000_000), b"", request])
        first, delimiter, body = dealer.recv_multipart()
        self.assertEqual((kind_and_id(first), delimiter), ((REPLY, 5), b""))
        self.assertEqual(msgpack.unpackb(body)[3], 5)
        dealer.send(header(CALL, CARRIES, id=6) + request)
        (only,) = dealer.recv_multipart()
        self.assertEqual(kind_and_id(only), (REPLY, 6))
        self.assertEqual(msgpack.unpackb(only[HEADER.size:])[3], 5)

    def test_what_the_server_knows_not_is_unknown(self):
        dealer = self.client(zmq.DEALER)
        dealer.send(header(ASK, id=9))
        self.assertEqual(kind_and_id(dealer.recv()), (UNKNOWN, 9))

    def test_an_idempotent_call_is_answered_from_memory(self):
        dealer = self.client(zmq.DEALER)
        for number in (1, 2):  # the same call, with another payload, which is not looked at
            dealer.send_multipart([header(CALL, IDEMPOTENT, id=11), b"",
                                   msgpack.packb([REQUEST, number, "add", [number, 0]])])
            self.assertEqual(msgpack.unpackb(dealer.recv_multipart()[2]), [RESPONSE, 1, None, 1])

    def test_results_come_as_credit_allows(self):
        dealer = self.client(zmq.DEALER)
        dealer.send_multipart([header(CALL, STREAMED, id=21, time=60_000_000, amount=2), b"",
                               msgpack.packb([REQUEST, 1, "count", [5]])])
        items = [dealer.recv_multipart() for _ in range(2)]
        self.assertEqual([(kind_and_id(each[0]), msgpack.unpackb(each[2])) for each in items],
                         [((ITEM, 21), 0), ((ITEM, 21), 1)])
        dealer.send(header(PING, id=1))
        self.assertEqual(kind_and_id(dealer.recv()), (PONG, 1))  # and no third item before it
        dealer.send(header(CREDIT, id=21, amount=10))
        rest = [dealer.recv_multipart() for _ in range(4)]
        self.assertEqual([kind_and_id(each[0]) for each in rest], 3 * [(ITEM, 21)] + [(REPLY, 21)])
        self.assertEqual(msgpack.unpackb(rest[-1][2]), [RESPONSE, 1, None, None])

    def test_what_a_method_throws_is_the_error_of_the_response(self):
        kind, number, error, result = self.call(self.client(), 3, "refuse", "not on Sundays")
        self.assertEqual((kind, number, result), (RESPONSE, 3, None))
        self.assertIn("not on Sundays", str(error))

    def test_an_unknown_method_is_an_error_that_names_it(self):
        kind, number, error, result = self.call(self.client(), 4, "multiply", 2, 3)
        self.assertEqual((kind, number, result), (RESPONSE, 4, None))
        self.assertIn("multiply", str(error))

    def test_parameters_of_the_wrong_number_or_type_are_an_error(self):
        client = self.client()
        for parameters in ([1], [1, 2, 3], ["one", 2], [None, 2]):
            kind, _, error, result = self.call(client, 5, "add", *parameters)
            self.assertEqual((kind, result), (RESPONSE, None))
            self.assertTrue(error)

    def test_a_notification_gets_no_reply(self):
        dealer = self.client(zmq.DEALER)
        dealer.send_multipart([b"", msgpack.packb([NOTIFICATION, "add", [1, 2]])])
        dealer.send_multipart([b"", msgpack.packb([REQUEST, 9, "add", [3, 4]])])
        self.assertEqual(msgpack.unpackb(dealer.recv_multipart()[1]), [RESPONSE, 9, None, 7])

    def test_nonsense_harms_nobody_else(self):
        there = self.calculator()
        rude = self.socket(zmq.DEALER, connect=there)
        for nonsense in ([b""], [b"", b"\xc1"], [b"", b""], [b"", b"\x91" * 100_000],
                         [b"", b"\xdd\xff\xff\xff\xff"], [b"no delimiter"], [b"", b"a", b"b", b"c"],
                         [b"", msgpack.packb([REQUEST])], [b"", msgpack.packb([7, 8, 9, 10])],
                         [b"", msgpack.packb({"method": "add"})],
                         [b"", msgpack.packb([REQUEST, -1, "add", [1, 2]])],
                         [b"", msgpack.packb([REQUEST, 1, 2, 3])]):
            rude.send_multipart(nonsense)
        # It is through with the nonsense when it answers this, whatever it answered to that.
        rude.send_multipart([b"", msgpack.packb([REQUEST, 77, "add", [1, 1]])])
        while msgpack.unpackb(rude.recv_multipart()[-1], strict_map_key=False)[1] != 77:
            pass
        self.assertEqual(self.call(self.socket(zmq.REQ, connect=there), 1, "add", 2, 2),
                         [RESPONSE, 1, None, 4])

    def replying(self, command, reply, *arguments):
        """What our client makes of a plain REP socket's reply: its result, and what was asked."""
        server = self.socket(zmq.REP)
        client = self.start_parley(command, where(server), *arguments)
        asked = server.recv()
        server.send_multipart(reply if isinstance(reply, list) else [reply])
        return client.finish(), asked

    def test_our_client_asks_a_plain_rep(self):
        result, asked = self.replying("req", b"pong", "ping")
        self.assertEqual(asked, b"ping")
        self.assert_done(result, "pong\n")

    def test_a_reply_of_several_frames_is_printed_whole(self):
        self.assert_done(self.replying("req", [b"a", b"b", b""], "ping")[0], "a\tb\t\n")
        result, _ = self.replying("req", [b"a", b"b"], "ping", "--json")
        self.assert_json_lines(result.out, {"frames": ["a", "b"]})
        result, _ = self.replying("req", [b"a", b"\xff"], "ping", "--json")
        self.assert_json_lines(result.out, {"frames_base64": ["YQ==", "/w=="]})

    def answering(self, error, result, *arguments):
        """The same, for a plain REP socket that understands MessagePack-RPC."""
        server = self.socket(zmq.REP)
        client = self.start_parley("call", where(server), *arguments)
        kind, number, method, parameters = msgpack.unpackb(server.recv())
        self.assertEqual(kind, REQUEST)
        server.send(msgpack.packb([RESPONSE, number, error, result]))
        return client.finish(), (method, parameters)

    def test_our_client_calls_a_plain_rep(self):
        result, asked = self.answering(None, 5, "add", 2, -3)
        self.assertEqual(asked, ("add", [2, -3]))
        self.assert_done(result, "5\n")

    def test_a_call_without_arguments_has_no_parameters(self):
        result, asked = self.answering(None, None, "ping")
        self.assertEqual(asked, ("ping", []))
        self.assert_done(result, "null\n")

    def test_arguments_are_json_or_else_text(self):
        _, (_, parameters) = self.answering(None, None, "f", "[1, {\"a\": null}]", "2.5", "true",
                                            "hello", "two words", "", "\"5\"", "2026-11-22", "\"a=b\"")
        self.assertEqual(parameters, [[1, {"a": None}], 2.5, True, "hello", "two words", "", "5",
                                      "2026-11-22", "a=b"])

    def test_arguments_with_names_travel_as_a_map(self):
        _, asked = self.answering(None, None, "f", "width=640", "tags=[\"new\"]", "file=a=b.png")
        self.assertEqual(asked, ("f", {"width": 640, "tags": ["new"], "file": "a=b.png"}))

    def test_a_result_is_printed_as_json(self):
        result, _ = self.answering(None, {"name": "Grüße", "n": [1, 2.5]}, "f", "--json")
        self.assert_json_lines(result.out, {"result": {"name": "Grüße", "n": [1, 2.5]}})

    def test_bytes_in_a_result_are_printed_in_base64(self):
        result, _ = self.answering(None, [b"\xff\x00", {"a": msgpack.ExtType(5, b"a")}], "f")
        self.assert_json_lines(result.out, ["/wA=", {"a": "YQ=="}])

    def test_a_result_that_json_cannot_tell_ends_our_program_with_4(self):
        result, _ = self.answering(None, {1: 2}, "f")
        self.assert_fails(result, 4, "as JSON")

    def test_an_error_response_ends_our_program_with_4(self):
        result, _ = self.answering("not on Sundays", None, "f")
        self.assert_fails(result, 4, "not on Sundays")

    def test_a_reply_that_is_no_response_ends_our_program_within_its_timeout(self):
        for nonsense in (b"", b"\xc1", b"\x91" * 100_000, msgpack.packb([RESPONSE, 1])):
            result, _ = self.replying("call", nonsense, "f", "--timeout", "0.2")
            self.assertIn((result.code, result.out), [(2, ""), (4, "")], result.err)


if __name__ == "__main__":
    unittest.main()
