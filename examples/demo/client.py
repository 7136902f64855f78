#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A STOMP client, python3-stomp, that talks to native programs through the gateway.

Usage: client.py PORT. Part of ./dev demo.
"""
import sys
import time

import stomp

JOBS = 6


def say(text):
    # In one write: messages arrive on a thread of their own.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Listener(stomp.ConnectionListener):
    def on_message(self, frame):
        say(f"receives from {frame.headers['destination']}: {frame.body}")

    def on_error(self, frame):
        say(f"is told of an error: {frame.headers.get('message')} {frame.body}")

    def on_disconnected(self):
        say("is disconnected")


connection = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))], reconnect_attempts_max=1)
connection.set_listener("", Listener())
connection.connect(wait=True)
say("is connected")

connection.subscribe("/topic/demo.*", id="news")
say("subscribes to /topic/demo.*")

connection.subscribe("/temp-queue/answers", id="answers")
connection.send("/service/add", "[2, 3]", content_type="application/json",
                headers={"reply-to": "/temp-queue/answers", "correlation-id": "sum"})
say("calls /service/add with [2, 3]")

for number in range(1, JOBS + 1):
    connection.send("/queue/demo.jobs", f"job {number}")
    say(f"sends to /queue/demo.jobs: job {number}")
    time.sleep(0.2)  # so that a person can read along

time.sleep(10**6)  # messages go on arriving until the demo ends
