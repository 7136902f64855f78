// SPDX-License-Identifier: MPL-2.0
#include "stomp/router.hpp"

#include "frames.hpp"
#include "router_world.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::Matchers::StartsWith;

namespace {

struct fixture {
  explicit fixture(const limits& allowed = {}) : hub{allowed, outside} {}

  std::unique_ptr<string_client> join() {
    auto made = std::make_unique<string_client>(hub);
    say(*made, "CONNECT\naccept-version:1.2\nhost:x\n");
    made->read();
    return made;
  }
  // Adds the blank line, where there is no body, and the NUL.
  static void say(string_client& who, std::string text) {
    text += text.find("\n\n") == std::string::npos ? "\n" : "";
    text += '\0';
    who.send(text);
  }
  static std::string heard(string_client& who) {
    std::string out;
    for (const std::string& each : read_all(who.read()))
      out += (out.empty() ? "" : "; ") + each;
    return out;
  }
  // Only the bodies, each in brackets, "!" when redelivered.
  static std::string bodies(string_client& who) {
    frame_reader reader;
    reader.set_version(version::v1_2);
    feed(reader, who.read());
    std::string out;
    while (reader.next() == frame_reader::outcome::frame) {
      out.append("[").append(reader.current().body);
      out += reader.current().find("redelivered") ? "!]" : "]";
    }
    return out;
  }

  noted_native outside;
  router hub;
};

limits small_queues(std::size_t messages) {
  limits chosen;
  chosen.queues.messages = messages;
  return chosen;
}

}  // namespace

TEST_CASE("a prefix is wanted from native publishers as long as somebody subscribes to it") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/topic/a.*\n");
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/topic/a.*.c\n");
  f.say(*two, "SUBSCRIBE\nid:2\ndestination:/topic/b\n");
  f.say(*one, "UNSUBSCRIBE\nid:1\n");
  CHECK(f.outside.notes == std::vector<std::string>{"want a.", "want b"});
  two->leave();
  CHECK(f.outside.notes.size() == 4);
  CHECK(f.outside.notes[2].substr(0, 6) == "unwant");
}

TEST_CASE("a native message is not sent back to native publishers") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/topic/a\n");
  f.hub.publish("a", "x");
  f.hub.run({});
  CHECK(f.bodies(*one) == "[x]");
  f.say(*one, "SEND\ndestination:/topic/a\n\ny");
  CHECK(f.bodies(*one) == "[y]");
  CHECK(f.outside.notes == std::vector<std::string>{"want a", "publish a y"});
}

TEST_CASE("a topic in an acknowledging mode waits for credit instead of missing messages") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/topic/a\nack:client\nprefetch-count:1\n");
  for (const char* const body : {"x", "y"}) {
    f.say(*one, "SEND\ndestination:/topic/a\n\n" + std::string{body});
  }
  CHECK(f.bodies(*one) == "[x]");
  f.say(*one, "ACK\nid:1-0-0\n");
  CHECK(f.bodies(*one) == "[y]");
}

TEST_CASE("UNSUBSCRIBE gives unacknowledged messages to others, in order") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n");
  for (const char* const body : {"x", "y", "z"}) {
    f.say(*two, "SEND\ndestination:/queue/a\n\n" + std::string{body});
  }
  CHECK(f.bodies(*one) == "[x][y][z]");
  f.say(*one, "ACK\nid:1-0-0\n");
  f.say(*one, "UNSUBSCRIBE\nid:1\n");
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two) == "[y!][z!]");
}

TEST_CASE("what was never written to an auto subscriber is not lost with it") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  f.say(*two, "SEND\ndestination:/queue/a\n\nx");
  CHECK(f.bodies(*one) == "[x]");
  f.say(*two, "SEND\ndestination:/queue/a\n\ny");
  one->leave();
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two) == "[y!]");
}

TEST_CASE("a message that is rejected too often is dropped and counted") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n");
  f.say(*one, "SEND\ndestination:/queue/a\n\nx");
  for (int i = 0; i < 5; ++i) {
    CHECK_THAT(f.bodies(*one), StartsWith("[x"));
    f.say(*one, "NACK\nid:1-0-" + std::to_string(i) + "\n");
  }
  CHECK(f.bodies(*one).empty());
  CHECK(f.hub.count().dropped_rejected.get() == 1);
}

TEST_CASE("senders that wait for room get it in the order they came") {
  fixture f{small_queues(1)};
  auto one = f.join();
  auto two = f.join();
  auto three = f.join();
  f.say(*one, "SEND\ndestination:/queue/a\n\n1");
  f.say(*two, "SEND\ndestination:/queue/a\nreceipt:r\n\n2");
  f.say(*three, "SEND\ndestination:/queue/a\nreceipt:r\n\n3");
  f.say(*two, "SEND\ndestination:/queue/a\nreceipt:s\n\n4");
  CHECK_FALSE(two->reading());
  CHECK(f.heard(*two).empty());
  auto taker = f.join();
  f.say(*taker, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  std::string got;
  for (std::string more; !(more = f.bodies(*taker)).empty();)
    got += more;
  CHECK(got == "[1][2][3][4]");
  CHECK(f.heard(*two) == "RECEIPT [receipt-id=r]; RECEIPT [receipt-id=s]");
  CHECK(two->reading());
}

TEST_CASE("a sender that waits counts as alive, but not for ever") {
  limits chosen = small_queues(1);
  chosen.sessions.heart_beat_receive = 10ms;
  chosen.queue_wait = 1s;
  fixture f{chosen};
  auto one = std::make_unique<string_client>(f.hub);
  f.say(*one, "CONNECT\naccept-version:1.2\nheart-beat:10,0\n");
  f.say(*one, "SEND\ndestination:/queue/a\n\n1");
  f.say(*one, "SEND\ndestination:/queue/a\nreceipt:2\n\n2");
  one->read();
  CHECK(one->due() == clock::time_point{} + 1s);
  one->now += 999ms;
  CHECK(one->tick());
  CHECK_FALSE(one->protocol().closing());
  one->now += 1ms;
  CHECK(one->tick());
  CHECK_THAT(f.heard(*one), Contains("the queue 'a' stayed full for 1000 ms"));
}

TEST_CASE("a transaction is accepted as a whole, or waits as a whole") {
  fixture f{small_queues(2)};
  auto one = f.join();
  auto two = f.join();
  f.say(*two, "SEND\ndestination:/queue/b\n\nfull");
  f.say(*one, "BEGIN\ntransaction:t\n");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/a\n\n1");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/b\n\n2");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/b\n\n3");
  f.say(*one, "COMMIT\ntransaction:t\nreceipt:c\n");
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two).empty());
  f.say(*two, "SUBSCRIBE\nid:2\ndestination:/queue/b\n");
  std::string got;
  for (std::string more; !(more = f.bodies(*two)).empty();)
    got += more;
  CHECK_THAT(got, StartsWith("[full]") && Contains("[1]") && Contains("[2]") && Contains("[3]"));
  CHECK(f.heard(*one) == "RECEIPT [receipt-id=c]");
}

TEST_CASE("a transaction waits for all the queues it needs") {
  fixture f{small_queues(1)};
  auto one = f.join();
  auto two = f.join();
  f.say(*two, "SEND\ndestination:/queue/a\n\nfull");
  f.say(*two, "SEND\ndestination:/queue/b\n\nfull");
  f.say(*one, "BEGIN\ntransaction:t\n");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/a\n\n1");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/b\n\n2");
  f.say(*one, "COMMIT\ntransaction:t\nreceipt:c\n");
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two) == "[full]");
  CHECK(f.heard(*one).empty());
  CHECK_FALSE(one->reading());
  f.say(*two, "SUBSCRIBE\nid:2\ndestination:/queue/b\n");
  std::string got;
  for (std::string more; !(more = f.bodies(*two)).empty();)
    got += more;
  CHECK_THAT(got, StartsWith("[full]") && Contains("[1]") && Contains("[2]"));
  CHECK(f.heard(*one) == "RECEIPT [receipt-id=c]");
}

TEST_CASE("a transaction larger than a queue is an error, not a wait without end") {
  fixture f{small_queues(1)};
  auto one = f.join();
  f.say(*one, "BEGIN\ntransaction:t\n");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/a\n\n1");
  f.say(*one, "SEND\ntransaction:t\ndestination:/queue/a\n\n2");
  f.say(*one, "COMMIT\ntransaction:t\n");
  CHECK_THAT(f.heard(*one), Contains("the transaction sends 2 messages to the queue 'a'"));
}

TEST_CASE("a COMMIT that cannot be carried out gives back what it acknowledged") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n");
  f.say(*one, "SEND\ndestination:/queue/a\n\nx");
  f.say(*one, "BEGIN\ntransaction:t\n");
  f.say(*one, "ACK\nid:1-0-0\ntransaction:t\n");
  f.say(*one, "SEND\ntransaction:t\ndestination:/nowhere\n\n");
  f.say(*one, "COMMIT\ntransaction:t\n");
  CHECK_THAT(f.heard(*one), Contains("unknown destination '/nowhere'"));
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two) == "[x!]");
}

TEST_CASE("a client that reads nothing is not read from, and its messages wait in the queue") {
  limits chosen;
  chosen.output = 1'000;
  fixture f{chosen};
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  const std::string body(400, 'x');
  for (int i = 0; i < 10; ++i)
    f.say(*two, "SEND\ndestination:/queue/a\n\n" + body);
  CHECK(one->protocol().unsent_bytes() < 2'000);
  for (int i = 0; one->reading(); ++i) {
    f.say(*one, "SEND\ndestination:/topic/t\nreceipt:" + std::to_string(i) + "\n");
    REQUIRE(i < 1'000);
  }
  CHECK(one->protocol().unsent_bytes() < 3'000);
  std::size_t got = 0;
  for (std::string more; !(more = one->read()).empty();) {
    for (const std::string& each : read_all(more))
      got += each.substr(0, 7) == "MESSAGE";
  }
  CHECK(got == 10);
  CHECK(one->reading());
}

// ---- services and replies ----

TEST_CASE("a call's reply comes to the temporary queue, also when it is an error") {
  fixture f;
  auto one = f.join();
  f.say(*one,
        "SEND\ndestination:/service/adder/add\nreply-to:/temp-queue/x\ncorrelation-id:9\n\n[1]");
  CHECK(f.outside.notes == std::vector<std::string>{"call adder.add"});
  f.hub.replied(f.outside.last_call, {true, "\x05", {}, {}});
  f.hub.run({});
  CHECK_THAT(f.heard(*one), Contains("[subscription=/temp-queue/x]") &&
                                Contains("[destination=/temp-queue/x] [correlation-id=9] "
                                         "[content-type=application/json] [content-length=1] 5"));
  f.say(*one, "SEND\ndestination:/service/nobody\nreply-to:/temp-queue/x\n\n[]");
  CHECK_THAT(f.heard(*one), Contains("[error=no_such_service] [content-type=text/plain]"));
}

TEST_CASE("a call without a reply-to is an ERROR") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SEND\ndestination:/service/add\n\n[]");
  CHECK_THAT(f.heard(*one), Contains("needs a reply-to header"));
}

TEST_CASE("a call has the timeout that was asked for, and ends once") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SEND\ndestination:/service/add\nreply-to:/temp-queue/x\ntimeout:50\n\n[]");
  CHECK(f.outside.last_deadline == clock::time_point{} + 50ms);
  f.hub.replied(f.outside.last_call, {false, {}, "timed_out", "late"});
  f.hub.run({});
  CHECK_THAT(f.heard(*one), Contains("[error=timed_out]"));
  f.hub.replied(f.outside.last_call, {true, "\x05", {}, {}});
  f.hub.run({});
  CHECK(f.heard(*one).empty());
  CHECK(f.hub.count().dropped_replies.get() == 1);
}

TEST_CASE("a client with too many calls in flight waits for replies") {
  limits chosen;
  chosen.calls = 1;
  fixture f{chosen};
  auto one = f.join();
  const std::string call = "SEND\ndestination:/service/add\nreply-to:/temp-queue/x\n\n[]";
  f.say(*one, call);
  f.say(*one, call);
  CHECK(f.outside.notes.size() == 1);
  CHECK_FALSE(one->reading());
  f.hub.replied(f.outside.last_call, {true, "\x05", {}, {}});
  f.hub.run({});
  CHECK(f.outside.notes.size() == 2);
  CHECK(one->reading());
}

TEST_CASE("replies to a queue that was subscribed to before are kept for the next SUBSCRIBE") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/temp-queue/x\n");
  f.say(*one, "UNSUBSCRIBE\nid:1\n");
  f.say(*one, "SEND\ndestination:/service/add\nreply-to:/temp-queue/x\n\n[]");
  f.hub.replied(f.outside.last_call, {true, "\x05", {}, {}});
  f.hub.run({});
  CHECK(f.heard(*one).empty());
  f.say(*one, "SUBSCRIBE\nid:2\ndestination:/temp-queue/x\n");
  CHECK_THAT(f.heard(*one), Contains("[subscription=2]"));
}

TEST_CASE("a reply to a client that has gone is dropped and counted, and is no one's fault") {
  fixture f;
  auto asker = f.join();
  auto helper = f.join();
  f.say(*helper, "SUBSCRIBE\nid:1\ndestination:/queue/rpc\n");
  f.say(*asker, "SEND\ndestination:/queue/rpc\nreply-to:/temp-queue/x\n\nq");
  frame_reader reader;
  reader.set_version(version::v1_2);
  feed(reader, helper->read());
  REQUIRE(reader.next() == frame_reader::outcome::frame);
  const std::string reply_to{reader.current().find("reply-to").value()};
  asker->leave();
  f.say(*helper, "SEND\ndestination:" + reply_to + "\nreceipt:r\n\na");
  CHECK(f.heard(*helper) == "RECEIPT [receipt-id=r]");
  CHECK(f.hub.count().dropped_replies.get() == 1);
}

TEST_CASE("who waits to answer a client that goes away waits no longer") {
  fixture f{small_queues(1)};
  auto asker = f.join();
  auto helper = f.join();
  f.say(*asker, "SUBSCRIBE\nid:1\ndestination:/temp-queue/x\n");
  f.say(*asker, "UNSUBSCRIBE\nid:1\n");
  const std::string send =
      "SEND\ndestination:" + asker->protocol().reply_prefix() + "x\nreceipt:r\n\na";
  f.say(*helper, send);
  CHECK(f.heard(*helper) == "RECEIPT [receipt-id=r]");
  f.say(*helper, send);
  CHECK_FALSE(helper->reading());
  asker->leave();
  CHECK(f.heard(*helper) == "RECEIPT [receipt-id=r]");
  CHECK(helper->reading());
}

TEST_CASE("what cannot be subscribed or sent to is said") {
  const auto told = [](const std::string& text) {
    fixture f;
    auto one = f.join();
    f.say(*one, text);
    return f.heard(*one);
  };
  CHECK_THAT(told("SUBSCRIBE\nid:1\ndestination:/service/a\n"), Contains("is not possible"));
  CHECK_THAT(told("SUBSCRIBE\nid:1\ndestination:/nowhere\n"), Contains("unknown destination"));
  CHECK_THAT(told("SEND\ndestination:/topic/a.*\n"), Contains("without * and #"));
}

TEST_CASE("a closing client's messages go to others while its last bytes are still unsent") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n");
  f.say(*two, "SEND\ndestination:/queue/a\n\nx");
  f.say(*one, "SEND\n");
  CHECK(one->protocol().closing());
  f.say(*two, "SUBSCRIBE\nid:1\ndestination:/queue/a\n");
  CHECK(f.bodies(*two) == "[x!]");
}

TEST_CASE("what a frame makes fail inside ends its client alone, and is reported") {
  fixture f;
  auto one = f.join();
  auto two = f.join();
  f.outside.breaks = true;
  f.say(*one, "SEND\ndestination:/service/a\nreply-to:/temp-queue/x\nreceipt:r\n\n[]");
  CHECK_THAT(f.heard(*one), StartsWith("ERROR [receipt-id=r] [message=the gateway failed"));
  CHECK(one->protocol().closing());
  CHECK(f.outside.reports == std::vector<std::string>{"a client was closed: broken"});
  f.say(*two, "SEND\ndestination:/topic/a\nreceipt:r\n\nx");
  CHECK(f.heard(*two) == "RECEIPT [receipt-id=r]");
}

TEST_CASE("a destination that is too long is an ERROR that says the limit") {
  const auto words = [](std::size_t count) {
    std::string name = "a";
    while (--count != 0)
      name += ".a";
    return name;
  };
  const auto told = [](const std::string& text) {
    fixture f;
    auto one = f.join();
    f.say(*one, text + "\nreceipt:r\n");
    return f.heard(*one);
  };
  const std::string longest(255, 'x');
  for (const std::string verb : {"SEND", "SUBSCRIBE\nid:1"}) {
    CHECK(told(verb + "\ndestination:/topic/" + words(32)) == "RECEIPT [receipt-id=r]");
    CHECK_THAT(told(verb + "\ndestination:/topic/" + words(33)), Contains("32 words"));
    for (const std::string kind : {"topic", "queue", "temp-queue"}) {
      const std::string destination = verb + "\ndestination:/" + kind + "/" + longest;
      CHECK(told(destination) == "RECEIPT [receipt-id=r]");
      CHECK_THAT(told(destination + "x"), Contains("at most 255 bytes"));
    }
  }
}

TEST_CASE("a native topic that is too long reaches nobody and is counted") {
  fixture f;
  auto one = f.join();
  f.say(*one, "SUBSCRIBE\nid:1\ndestination:/topic/#\n");
  f.hub.publish(std::string(255, 'x'), "fits");
  f.hub.publish(std::string(256, 'x'), "long");
  f.hub.publish(std::string(32, '.'), "wordy");
  f.hub.run({});
  CHECK(f.bodies(*one) == "[fits]");
  CHECK(f.hub.count().dropped_topics.get() == 2);
}
