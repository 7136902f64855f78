#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
#
# Calls methods of a parley::server with nothing but pyzmq and msgpack.
#
# Run it: examples/calculator_client.py tcp://127.0.0.1:5555
# It prints what the server offers, and the result of add(2, 3).
import sys

import msgpack
import zmq


def call(socket, method, parameters):
    """parameters: a list, or a dict of names. Raises RuntimeError with the server's error."""
    socket.send(msgpack.packb([0, 1, method, parameters]))
    if not socket.poll(5000):
        raise TimeoutError(f"{method}: no reply")
    _, _, error, result = msgpack.unpackb(socket.recv())
    if error is not None:
        raise RuntimeError(f"{error['type']}: {error['text']}")
    return result


def main():
    socket = zmq.Context().socket(zmq.REQ)
    socket.linger = 0
    socket.connect(sys.argv[1])
    for method in call(socket, "parley.methods", []):
        types = ", ".join(each["type"] for each in method["parameters"])
        print(f"{method['name']}({types}) -> {method['result']}")
    print("2 + 3 =", call(socket, "add", [2, 3]))


main()
