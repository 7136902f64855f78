# SPDX-License-Identifier: MPL-2.0
"""python3-stomp (stomp.py), in all its three versions of the protocol."""

import logging
import queue
import unittest

import stomp

from gateway_test import GatewayTest
from program import PATIENCE

logging.disable(logging.CRITICAL)  # stomp.py logs every ERROR frame; the tests look at them

CONNECTIONS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}


class Client(stomp.ConnectionListener):
    """A connection whose frames can be waited for."""

    def __init__(self, port, version, **options):
        self.version = version
        self.frames = queue.Queue()
        self.connection = CONNECTIONS[version]([("127.0.0.1", port)], reconnect_attempts_max=1,
                                               timeout=PATIENCE, **options)
        self.connection.set_listener("", self)
        self.connection.connect("anyone", "anything", wait=True)
        self.receipts = 0
        self.connected = self.next("CONNECTED")

    def on_connected(self, frame):
        self.frames.put(("CONNECTED", frame))

    def on_message(self, frame):
        self.frames.put(("MESSAGE", frame))

    def on_receipt(self, frame):
        self.frames.put(("RECEIPT", frame))

    def on_error(self, frame):
        self.frames.put(("ERROR", frame))

    def on_heartbeat(self):
        self.frames.put(("heart-beat", None))

    def on_disconnected(self):
        self.frames.put(("disconnected", None))

    def next(self, wanted):
        try:
            kind, frame = self.frames.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no {wanted} came") from None
        if kind != wanted:
            shown = f"{frame.headers} {frame.body!r}" if frame else ""
            raise AssertionError(f"expected {wanted}, got {kind} {shown}")
        return frame

    def body(self):
        return self.next("MESSAGE").body

    def confirmed(self, what, *arguments, **headers):
        """Does it and waits for its receipt."""
        self.receipts += 1
        getattr(self.connection, what)(*arguments, receipt=f"r{self.receipts}", **headers)
        receipt = self.next("RECEIPT")
        if receipt.headers["receipt-id"] != f"r{self.receipts}":
            raise AssertionError(f"a receipt for something else: {receipt.headers}")

    def subscribe(self, destination, id="1", ack="auto", **headers):
        self.confirmed("subscribe", destination, id, ack, headers=headers)

    def settle(self, word, frame, **options):
        """ACK or NACK in the words of this version."""
        arguments = {"1.0": [frame.headers["message-id"]],
                     "1.1": [frame.headers["message-id"], frame.headers["subscription"]],
                     "1.2": [frame.headers.get("ack")]}[self.version]
        self.confirmed(word, *arguments, **options)


class Test(GatewayTest):
    def client(self, version="1.2", **options):
        client = Client(self.port, version, **options)
        self.addCleanup(client.connection.transport.disconnect_socket)
        return client

    def test_each_version_is_agreed_upon(self):
        self.start_gateway()
        for version in CONNECTIONS:
            self.assertEqual(self.client(version).connected.headers.get("version", "1.0"), version)

    def test_a_native_publisher_feeds_a_topic(self):
        self.start_gateway("--subscribe", "bind:tcp://127.0.0.1:0")
        for version in CONNECTIONS:
            client = self.client(version)
            client.subscribe("/topic/news.*")
            self.assert_done(self.parley("pub", "connect:" + self.bound[0], "news.sport", version))
            message = client.next("MESSAGE")
            self.assertEqual((message.headers["destination"], message.body),
                             ("/topic/news.sport", version))

    def test_a_native_subscriber_hears_a_topic(self):
        self.start_gateway("--publish", "tcp://127.0.0.1:0")
        client = self.client()
        subscriber = self.start_parley("sub", self.bound[0], "news.", "--count", 1)
        while subscriber.process.poll() is None:  # until its subscription is with the gateway
            client.confirmed("send", "/topic/news.sport", "2:1")
        self.assert_done(subscriber.finish(), "news.sport\t2:1\n")

    def test_clients_of_all_versions_hear_each_other_on_a_topic(self):
        self.start_gateway()
        clients = [self.client(version) for version in CONNECTIONS]
        for client in clients:
            client.subscribe("/topic/chat.#")
        for client in clients:
            client.connection.send("/topic/chat.room", "from " + client.version)
            for other in clients:
                self.assertEqual(other.body(), "from " + client.version)

    def test_headers_and_bodies_arrive_as_they_were_sent(self):
        self.start_gateway()
        client = self.client()
        client.subscribe("/topic/t")
        client.connection.send("/topic/t", "Grüße\0\nund\r\nmehr",
                               headers={"note": "a:b\\c\nd", "empty": ""})
        message = client.next("MESSAGE")
        self.assertEqual(message.body, "Grüße\0\nund\r\nmehr")
        self.assertEqual((message.headers["note"], message.headers["empty"]),
                         ("a:b\\c\nd", ""))

    def test_nothing_comes_after_unsubscribe(self):
        self.start_gateway()
        client = self.client()
        client.subscribe("/topic/a", "1")
        client.subscribe("/topic/b", "2")
        client.confirmed("unsubscribe", "1")
        client.connection.send("/topic/a", "unheard")
        client.connection.send("/topic/b", "heard")
        self.assertEqual(client.body(), "heard")

    def test_a_native_worker_takes_tasks_of_a_queue(self):
        self.start_gateway("--source", "jobs=tcp://127.0.0.1:0")
        worker = self.start_parley("pull", self.bound[0], "--count", 2)
        client = self.client()
        for task in ("one", "two"):
            client.confirmed("send", "/queue/jobs", task)
        self.assert_done(worker.finish(), "one\ntwo\n")

    def test_tasks_of_a_native_source_enter_a_queue(self):
        self.start_gateway("--worker", "jobs=bind:tcp://127.0.0.1:0")
        self.assert_done(self.parley("push", "connect:" + self.bound[0], "one", "two"))
        client = self.client()
        client.subscribe("/queue/jobs")
        self.assertEqual([client.body(), client.body()], ["one", "two"])

    def test_each_message_of_a_queue_goes_to_one_consumer(self):
        self.start_gateway()
        first, second = self.client(), self.client()
        for consumer in (first, second):
            consumer.subscribe("/queue/q", "1", "client-individual", **{"prefetch-count": 1})
        sender = self.client()
        for number in "12":
            sender.confirmed("send", "/queue/q", number)
        self.assertEqual(sorted([first.body(), second.body()]), ["1", "2"])

    def test_client_individual_acknowledges_one_message(self):
        self.start_gateway()
        for version in CONNECTIONS:
            consumer = self.client(version)
            consumer.subscribe("/queue/q", "1", "client-individual")
            for number in "123":
                consumer.connection.send("/queue/q", number)
            messages = [consumer.next("MESSAGE") for _ in range(3)]
            consumer.settle("ack", messages[1])
            consumer.connection.transport.disconnect_socket()
            # The other two were not acknowledged: somebody else gets them.
            other = self.client()
            other.subscribe("/queue/q")
            self.assertEqual([other.body(), other.body()], ["1", "3"])
            other.connection.disconnect()

    def test_client_acknowledges_all_messages_up_to_one(self):
        self.start_gateway()
        for version in CONNECTIONS:
            consumer = self.client(version)
            consumer.subscribe("/queue/q", "1", "client")
            for number in "123":
                consumer.connection.send("/queue/q", number)
            messages = [consumer.next("MESSAGE") for _ in range(3)]
            consumer.settle("ack", messages[1])
            consumer.connection.transport.disconnect_socket()
            other = self.client()
            other.subscribe("/queue/q")
            self.assertEqual(other.body(), "3")
            other.connection.disconnect()

    def test_nack_gives_a_message_back(self):
        self.start_gateway()
        for version in ("1.1", "1.2"):
            consumer = self.client(version)
            consumer.subscribe("/queue/q", "1", "client-individual")
            consumer.connection.send("/queue/q", version)
            message = consumer.next("MESSAGE")
            arguments = ([message.headers["message-id"], message.headers["subscription"]]
                         if version == "1.1" else [message.headers["ack"]])
            consumer.connection.nack(*arguments)
            again = consumer.next("MESSAGE")
            self.assertEqual(again.body, version)
            consumer.settle("ack", again)
            consumer.connection.disconnect()

    def test_a_transaction_is_seen_when_it_is_committed(self):
        self.start_gateway()
        for version in CONNECTIONS:
            sender, reader = self.client(version), self.client()
            reader.subscribe("/queue/q")
            sender.connection.begin(transaction="t")
            sender.confirmed("send", "/queue/q", "in the transaction", transaction="t")
            sender.confirmed("send", "/queue/q", "outside")
            self.assertEqual(reader.body(), "outside")
            sender.connection.commit(transaction="t")
            self.assertEqual(reader.body(), "in the transaction")
            reader.connection.disconnect()

    def test_an_aborted_transaction_is_never_seen(self):
        self.start_gateway()
        sender, reader = self.client(), self.client()
        reader.subscribe("/queue/q")
        sender.connection.begin(transaction="t")
        sender.connection.send("/queue/q", "never", transaction="t")
        sender.connection.abort(transaction="t")
        sender.connection.send("/queue/q", "after")
        self.assertEqual(reader.body(), "after")

    def test_an_acknowledgement_in_an_aborted_transaction_does_not_count(self):
        self.start_gateway()
        consumer = self.client()
        consumer.subscribe("/queue/q", "1", "client-individual")
        consumer.connection.send("/queue/q", "work")
        message = consumer.next("MESSAGE")
        consumer.connection.begin(transaction="t")
        consumer.settle("ack", message, transaction="t")
        consumer.connection.abort(transaction="t")
        consumer.connection.transport.disconnect_socket()
        other = self.client()
        other.subscribe("/queue/q")
        self.assertEqual(other.body(), "work")

    def test_a_service_replies_to_the_reply_to_destination(self):
        self.start_gateway("--service", "add=" + self.start_calculator())
        for version in CONNECTIONS:
            client = self.client(version)
            client.subscribe("/temp-queue/answers", "a")
            client.connection.send("/service/add", "[2, 3]", content_type="application/json",
                                   headers={"reply-to": "/temp-queue/answers",
                                            "correlation-id": "sum"})
            reply = client.next("MESSAGE")
            self.assertEqual((reply.body, reply.headers["correlation-id"]), ("5", "sum"))

    def test_a_service_that_refuses_says_so_in_its_reply(self):
        self.start_gateway("--service", "calculator=" + self.start_calculator())
        client = self.client()
        client.subscribe("/temp-queue/answers", "a")
        client.connection.send("/service/calculator/refuse", '["not on Sundays"]',
                               headers={"reply-to": "/temp-queue/answers"})
        self.assertIn("not on Sundays", client.body())

    def test_heart_beats_come_as_agreed(self):
        self.start_gateway()
        clients = [self.client(version, heartbeats=(100, 100)) for version in ("1.1", "1.2")]
        for client in clients:  # at the gateway's pace, 10 seconds, the slower of the two
            client.next("heart-beat")

    def test_a_destination_that_does_not_exist_is_an_error_that_names_it(self):
        self.start_gateway()
        for version in CONNECTIONS:
            client = self.client(version)
            client.connection.send("/nowhere/land", "x", receipt="r")
            error = client.next("ERROR")
            self.assertIn("/nowhere/land", error.headers["message"] + error.body)
            self.assertEqual(error.headers["receipt-id"], "r")
            client.next("disconnected")

    def test_one_client_in_error_does_not_disturb_another(self):
        self.start_gateway()
        innocent, guilty = self.client(), self.client()
        innocent.subscribe("/topic/t")
        guilty.connection.send("/nowhere", "x")
        guilty.next("ERROR")
        innocent.connection.send("/topic/t", "still here")
        self.assertEqual(innocent.body(), "still here")

    def test_disconnect_is_confirmed(self):
        self.start_gateway()
        for version in CONNECTIONS:
            client = self.client(version)
            client.connection.disconnect(receipt="bye")
            client.next("disconnected")  # told before the receipt that caused it
            self.assertEqual(client.next("RECEIPT").headers["receipt-id"], "bye")


if __name__ == "__main__":
    unittest.main()
