// SPDX-License-Identifier: MPL-2.0
#include "stomp/session.hpp"

#include "frames.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::Matchers::StartsWith;
using kind = request::kind;

namespace {

struct fixture {
  explicit fixture(const session_limits& limits = {})
      : client{limits, 7, "/reply-queue/7/", start} {}

  // The client sends; '^' stands for NUL. Requests are left pending.
  const request& send(std::string text) {
    std::replace(text.begin(), text.end(), '^', '\0');
    feed(reader, text);
    REQUIRE(reader.next() == frame_reader::outcome::frame);
    return client.receive(reader.current(), now);
  }
  // As above, and the request is carried out at once.
  void done(const std::string& text) {
    if (send(text).what != kind::none) client.complete();
    if (client.connected()) reader.set_version(client.negotiated());
  }
  // What the server has written since the last call, one frame a line.
  std::string answer() {
    std::string sent;
    client.take_output(sent, now);
    client.sent(now, finished);
    if (sent == "\n") return "heart-beat";
    std::string out;
    for (const std::string& each : read_all(sent, client.negotiated())) {
      out += (out.empty() ? "" : "; ") + each;
    }
    return out;
  }
  std::string answer_to(const std::string& text) {
    done(text);
    return answer();
  }
  void connect(const std::string& accepted = "1.2", const std::string& more = "") {
    done("CONNECT\naccept-version:" + accepted + "\nhost:x\n" + more + "\n^");
    answer();
    REQUIRE(client.connected());
  }
  subscription& subscribe(const std::string& more) {
    done("SUBSCRIBE\nid:s\ndestination:/queue/a\n" + more + "\n^");
    REQUIRE(client.connected());
    return *client.subscriptions().back();
  }
  void deliver(subscription& to, const std::string& body, bool again = false) {
    queue::entry entry;
    entry.content = message::make("/queue/a", {}, body);
    entry.redelivered = again;
    client.deliver(to, entry, source);
  }
  // The bodies that the pending request settles: "+a-b" for a accepted and b rejected.
  std::string settled() {
    std::string out;
    for (const settlement& each : client.pending().settlements) {
      (out += each.accepted ? '+' : '-') += each.entry.content->body();
    }
    if (client.pending().what != kind::none) client.complete();
    return out;
  }

  clock::time_point start{};
  clock::time_point now = start;
  frame_reader reader;
  session client;
  queue source{{}};
  std::vector<delivery> finished;
};

}  // namespace

// ---- opening ----

// "the protocol that will be used for the rest of the session will be the highest protocol version
// that both the client and server have in common"
TEST_CASE("the highest common version is chosen") {
  const auto chosen = [](const std::string& accepted) {
    fixture f;
    return f.answer_to("CONNECT\naccept-version:" + accepted + "\nhost:x\n\n^");
  };
  CHECK_THAT(chosen("1.0,1.1,1.2"), Contains("[version=1.2]"));
  CHECK_THAT(chosen("1.1, 1.0"), Contains("[version=1.1]"));
  CHECK_THAT(chosen("1.0"), Contains("[version=1.0]"));
  CHECK_THAT(chosen("1.2,9.9"), Contains("[version=1.2]"));
}

// "accept-version ... absent: 1.0"
TEST_CASE("a client that names no version speaks 1.0") {
  fixture f;
  CHECK(f.answer_to("CONNECT\nlogin:me\n\n^") == "CONNECTED [session=7] [server=parley]");
  CHECK(f.client.negotiated() == version::v1_0);
}

// "If the client and server do not share any common protocol versions, then the server MUST respond
// with an ERROR frame ... version: supported versions"
TEST_CASE("no common version is an ERROR that lists ours") {
  fixture f;
  const std::string answer = f.answer_to("CONNECT\naccept-version:3.0\n\n^");
  CHECK_THAT(answer, StartsWith("ERROR [version=1.0,1.1,1.2] [message=no common version"));
  CHECK(f.client.closing());
}

// "STOMP servers MUST handle a STOMP frame in the same manner as a CONNECT frame"
TEST_CASE("STOMP opens as CONNECT does") {
  fixture f;
  CHECK_THAT(f.answer_to("STOMP\naccept-version:1.2\nhost:x\n\n^"), StartsWith("CONNECTED"));
}

TEST_CASE("a login waits for its answer") {
  fixture f;
  const request& asked = f.send("CONNECT\naccept-version:1.2\nlogin:me\npasscode:secret\n\n^");
  CHECK(asked.what == kind::log_in);
  CHECK(asked.user == "me");
  CHECK(asked.passcode == "secret");
  CHECK_FALSE(f.client.connected());
  f.client.fail("login refused");
  CHECK_THAT(f.answer(), StartsWith("ERROR [message=login refused]"));
  CHECK(f.client.closing());
}

TEST_CASE("anything before CONNECT is an error, and so is a second CONNECT") {
  fixture f;
  CHECK_THAT(f.answer_to("SEND\ndestination:/queue/a\n\n^"),
             Contains("expected CONNECT or STOMP first, not SEND"));
  CHECK(f.client.closing());
  fixture g;
  g.connect();
  CHECK_THAT(g.answer_to("CONNECT\n\n^"), Contains("expected CONNECT only once"));
}

TEST_CASE("frames that only servers send are an error") {
  fixture f;
  f.connect();
  CHECK_THAT(f.answer_to("RECEIPT\nreceipt-id:1\n\n^"),
             Contains("RECEIPT is sent by servers only"));
}

// ---- receipts ----

// "RECEIPT ... is sent from the server to the client once a server has successfully processed a
// client frame that requests a receipt."
TEST_CASE("a RECEIPT waits until the message was accepted") {
  fixture f;
  f.connect();
  f.send("SEND\ndestination:/queue/a\nreceipt:r1\n\nhi^");
  CHECK(f.answer().empty());
  f.client.complete();
  CHECK(f.answer() == "RECEIPT [receipt-id=r1]");
}

TEST_CASE("any frame but CONNECT may ask for a receipt") {
  fixture f;
  CHECK_THAT(f.answer_to("CONNECT\naccept-version:1.2\nreceipt:0\n\n^"), !Contains("RECEIPT"));
  const std::string frames[]{"SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n",
                             "BEGIN\ntransaction:t\n",
                             "SEND\ntransaction:t\ndestination:/queue/a\n",
                             "COMMIT\ntransaction:t\n",
                             "BEGIN\ntransaction:t\n",
                             "ABORT\ntransaction:t\n",
                             "UNSUBSCRIBE\nid:s\n",
                             "DISCONNECT\n"};
  for (const std::string& each : frames) {
    CHECK(f.answer_to(each + "receipt:a\\cb\n\n^") == "RECEIPT [receipt-id=a:b]");
  }
  CHECK(f.client.closing());
}

// "If the error is related to a specific frame sent from the client, the server SHOULD ... set the
// receipt-id header"
TEST_CASE("an ERROR names the receipt of the frame that caused it, and no other") {
  fixture f;
  f.connect();
  CHECK_THAT(f.answer_to("SEND\nreceipt:r1\n\n^"),
             StartsWith("ERROR [receipt-id=r1] [message=SEND needs a destination"));
  fixture g;
  g.connect();
  g.answer_to("SEND\ndestination:/queue/a\nreceipt:r1\n\n^");
  g.client.malformed("nonsense");
  CHECK_THAT(g.answer(), StartsWith("ERROR [message=nonsense]"));
}

// ---- subscriptions ----

// "each open subscription within the session must have a unique id"
TEST_CASE("a subscription id that is in use is an error") {
  fixture f;
  f.connect();
  f.subscribe("");
  CHECK_THAT(f.answer_to("SUBSCRIBE\nid:s\ndestination:/queue/b\n\n^"),
             Contains("the subscription id 's' is in use"));
}

TEST_CASE("an id is free again after UNSUBSCRIBE") {
  fixture f;
  f.connect();
  f.subscribe("");
  CHECK(f.send("UNSUBSCRIBE\nid:s\n\n^").what == kind::unsubscribe);
  f.client.complete();
  CHECK(f.client.subscriptions().empty());
  f.subscribe("");
}

TEST_CASE("what SUBSCRIBE and UNSUBSCRIBE miss is said") {
  const auto told = [](const std::string& text, const std::string& accepted = "1.2") {
    fixture f;
    f.connect(accepted);
    return f.answer_to(text + "\n^");
  };
  CHECK_THAT(told("SUBSCRIBE\nid:1\n"), Contains("SUBSCRIBE needs a destination"));
  CHECK_THAT(told("SUBSCRIBE\ndestination:/queue/a\n"), Contains("SUBSCRIBE needs an id"));
  CHECK_THAT(told("SUBSCRIBE\ndestination:/queue/a\n", "1.0"), !Contains("ERROR"));
  CHECK_THAT(told("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:maybe\n"),
             Contains("expected auto, client or client-individual"));
  CHECK_THAT(told("SUBSCRIBE\nid:1\ndestination:/queue/a\nprefetch-count:0\n"),
             Contains("prefetch-count is '0'"));
  CHECK_THAT(told("UNSUBSCRIBE\nid:1\n"), Contains("there is no subscription '1'"));
  CHECK_THAT(told("UNSUBSCRIBE\n"), Contains("UNSUBSCRIBE needs the id"));
}

TEST_CASE("a 1.0 client may subscribe and unsubscribe by destination alone") {
  fixture f;
  f.connect("1.0");
  f.done("SUBSCRIBE\ndestination:/queue/a\n\n^");
  f.deliver(*f.client.subscriptions()[0], "hi");
  CHECK(f.answer() == "MESSAGE [message-id=7-0-0] [destination=/queue/a] [content-length=2] hi");
  f.done("UNSUBSCRIBE\ndestination:/queue/a\n\n^");
  CHECK(f.client.subscriptions().empty());
}

// "MESSAGE ... MUST include a destination header, a message-id header and a subscription header ...
// If the message is received from a subscription that requires explicit acknowledgment then the
// MESSAGE frame MUST also contain an ack header"
TEST_CASE("a MESSAGE carries what its version asks for") {
  fixture f;
  f.connect();
  f.deliver(f.subscribe("ack:client\n"), "hi");
  CHECK(f.answer() ==
        "MESSAGE [subscription=s] [message-id=7-0-0] [ack=7-0-0] [destination=/queue/a] "
        "[content-length=2] hi");
  fixture g;
  g.connect("1.1");
  g.deliver(g.subscribe("ack:client\n"), "hi", true);
  CHECK(g.answer() ==
        "MESSAGE [subscription=s] [message-id=7-0-0] [redelivered=true] [destination=/queue/a] "
        "[content-length=2] hi");
}

TEST_CASE("a subscription is told once what was dropped before") {
  fixture f;
  f.connect();
  subscription& to = f.subscribe("");
  to.dropped = 3;
  f.client.deliver(to, *message::make("/topic/a", {}, "x"));
  f.client.deliver(to, *message::make("/topic/a", {}, "y"));
  CHECK(f.answer() ==
        "MESSAGE [subscription=s] [message-id=7-0-0] [parley-dropped=3] [destination=/topic/a] "
        "[content-length=1] x; MESSAGE [subscription=s] [message-id=7-0-1] [destination=/topic/a] "
        "[content-length=1] y");
}

// ---- acknowledgement ----

// "When the ack mode is auto ... The server will assume the client has received the message as soon
// as it sends it to the client."
TEST_CASE("auto settles a message when its bytes were sent, not before") {
  fixture f;
  f.connect();
  subscription& to = f.subscribe("");
  f.deliver(to, "a");
  std::string bytes;
  f.client.take_output(bytes, f.now);
  f.deliver(to, "b");
  CHECK(f.finished.empty());
  f.client.sent(f.now, f.finished);
  REQUIRE(f.finished.size() == 1);
  CHECK(f.finished[0].entry.content->body() == "a");
  const auto unsent = f.client.take_unsent();
  REQUIRE(unsent.size() == 1);
  CHECK(unsent[0].entry.content->body() == "b");
}

// "When the ack mode is client ... acknowledgment operates on this message and all other messages
// sent ... before this one" / "client-individual ... is not cumulative"
TEST_CASE("client acknowledges all before, client-individual one alone") {
  fixture f;
  f.connect();
  subscription& to = f.subscribe("ack:client\n");
  for (const char* const body : {"a", "b", "c"})
    f.deliver(to, body);
  f.send("ACK\nid:7-0-1\n\n^");
  CHECK(f.settled() == "+a+b");
  CHECK(to.unsettled.size() == 1);

  fixture g;
  g.connect();
  subscription& single = g.subscribe("ack:client-individual\n");
  for (const char* const body : {"a", "b", "c"})
    g.deliver(single, body);
  g.send("NACK\nid:7-0-1\n\n^");
  CHECK(g.settled() == "-b");
  g.send("ACK\nid:7-0-2\n\n^");
  CHECK(g.settled() == "+c");
  CHECK(single.unsettled.size() == 1);
}

TEST_CASE("each version acknowledges by its own headers") {
  fixture f;
  f.connect("1.1");
  f.deliver(f.subscribe("ack:client\n"), "a");
  f.send("ACK\nmessage-id:7-0-0\nsubscription:s\n\n^");
  CHECK(f.settled() == "+a");

  fixture g;
  g.connect("1.0");
  g.deliver(g.subscribe("ack:client\n"), "a");
  g.send("ACK\nmessage-id:7-0-0\n\n^");
  CHECK(g.settled() == "+a");
}

TEST_CASE("an ACK that names no open message is an error that says why") {
  const auto told = [](const std::string& text, const std::string& accepted = "1.2",
                       const std::string& mode = "client-individual") {
    fixture f;
    f.connect(accepted);
    subscription& to = f.subscribe("ack:" + mode + "\n");
    f.deliver(to, "a");
    f.deliver(to, "b");
    if (mode != "auto" && accepted == "1.2") f.done("ACK\nid:7-0-0\n\n^");
    f.answer();
    return f.answer_to(text + "\n^");
  };
  CHECK_THAT(told("ACK\nid:7-0-0\n"), Contains("was acknowledged before"));
  CHECK_THAT(told("ACK\nid:7-0-9\n"), Contains("was never sent"));
  CHECK_THAT(told("NACK\nid:8-0-1\n"), Contains("there is no message '8-0-1'"));
  CHECK_THAT(told("ACK\nid:7-9-1\n"), Contains("there is no message"));
  CHECK_THAT(told("ACK\nid:nonsense\n"), Contains("there is no message 'nonsense'"));
  CHECK_THAT(told("ACK\nid:7-0-1-\n"), Contains("ERROR"));
  CHECK_THAT(told("ACK\nmessage-id:7-0-1\n"), Contains("ACK needs the header id in STOMP 1.2"));
  CHECK_THAT(told("ACK\nid:7-0-1\n", "1.2", "auto"), Contains("nothing to acknowledge"));
  CHECK_THAT(told("ACK\nmessage-id:7-0-1\n", "1.1"), Contains("needs the header subscription"));
  CHECK_THAT(told("ACK\nmessage-id:7-0-1\nsubscription:x\n", "1.1"),
             Contains("there is no message"));
  CHECK_THAT(told("NACK\nmessage-id:7-0-1\n", "1.0"), Contains("NACK is not part of STOMP 1.0"));
}

TEST_CASE("an ACK after UNSUBSCRIBE says where the message went") {
  fixture f;
  f.connect();
  f.deliver(f.subscribe("ack:client\n"), "a");
  f.done("UNSUBSCRIBE\nid:s\n\n^");
  CHECK_THAT(f.answer_to("ACK\nid:7-0-0\n\n^"), Contains("went back to the queue"));
}

TEST_CASE("a subscription has credit for its prefetch count") {
  for (const char* const name : {"prefetch-count", "activemq.prefetchSize"}) {
    fixture f;
    f.connect();
    subscription& to = f.subscribe("ack:client\n" + std::string{name} + ":2\n");
    f.deliver(to, "a");
    CHECK(f.client.has_credit(to));
    f.deliver(to, "b");
    CHECK_FALSE(f.client.has_credit(to));
    f.done("ACK\nid:7-0-0\n\n^");
    CHECK(f.client.has_credit(to));
  }
}

// ---- transactions ----

// "any messages sent or acknowledged during a transaction will be processed atomically based on the
// transaction"
TEST_CASE("a transaction's messages and acknowledgements happen at COMMIT") {
  fixture f;
  f.connect();
  subscription& to = f.subscribe("ack:client-individual\n");
  f.deliver(to, "a");
  f.deliver(to, "b");
  f.done("BEGIN\ntransaction:t\n\n^");
  CHECK(f.send("SEND\ndestination:/queue/x\ntransaction:t\n\n1^").what == kind::none);
  CHECK(f.send("ACK\nid:7-0-0\ntransaction:t\n\n^").what == kind::none);
  CHECK(f.send("NACK\nid:7-0-1\ntransaction:t\n\n^").what == kind::none);
  const request& asked = f.send("COMMIT\ntransaction:t\n\n^");
  CHECK(asked.what == kind::publish);
  REQUIRE(asked.messages.size() == 1);
  CHECK(asked.messages[0]->body() == "1");
  CHECK(f.settled() == "+a-b");
  CHECK(to.unsettled.empty());
}

TEST_CASE("ABORT forgets the messages and takes the acknowledgements back") {
  fixture f;
  f.connect();
  f.deliver(f.subscribe("ack:client-individual\n"), "a");
  f.done("BEGIN\ntransaction:t\n\n^");
  f.done("SEND\ndestination:/queue/x\ntransaction:t\n\n1^");
  f.done("ACK\nid:7-0-0\ntransaction:t\n\n^");
  CHECK(f.send("ABORT\ntransaction:t\n\n^").what == kind::none);
  f.send("ACK\nid:7-0-0\n\n^");
  CHECK(f.settled() == "+a");
}

TEST_CASE("a cumulative ACK leaves alone what a transaction holds") {
  fixture f;
  f.connect();
  subscription& to = f.subscribe("ack:client\n");
  for (const char* const body : {"a", "b", "c"})
    f.deliver(to, body);
  f.done("BEGIN\ntransaction:t\n\n^");
  f.done("ACK\nid:7-0-0\ntransaction:t\n\n^");
  f.send("ACK\nid:7-0-2\n\n^");
  CHECK(f.settled() == "+b+c");
  f.send("COMMIT\ntransaction:t\n\n^");
  CHECK(f.settled() == "+a");
}

TEST_CASE("unknown, repeated and too many transactions are errors") {
  const auto told = [](const std::string& text) {
    fixture f{session_limits{.transactions = 2, .transaction_frames = 2}};
    f.connect();
    f.done("BEGIN\ntransaction:t\n\n^");
    f.done("BEGIN\ntransaction:u\n\n^");
    f.done("SEND\ntransaction:t\ndestination:/queue/a\n\n^");
    f.done("SEND\ntransaction:t\ndestination:/queue/a\n\n^");
    f.answer();
    return f.answer_to(text + "\n^");
  };
  CHECK_THAT(told("BEGIN\ntransaction:t\n"), Contains("'t' is open already"));
  CHECK_THAT(told("BEGIN\ntransaction:v\n"), Contains("too many open transactions"));
  CHECK_THAT(told("BEGIN\n"), Contains("BEGIN needs a transaction"));
  CHECK_THAT(told("COMMIT\ntransaction:x\n"), Contains("there is no transaction 'x'"));
  CHECK_THAT(told("ABORT\n"), Contains("ABORT needs a transaction"));
  CHECK_THAT(told("SEND\ntransaction:x\ndestination:/queue/a\n"), Contains("no transaction 'x'"));
  CHECK_THAT(told("SEND\ntransaction:t\ndestination:/queue/a\n"), Contains("is too large"));
  CHECK(told("SEND\ntransaction:u\ndestination:/queue/a\n").empty());
}

// ---- replies ----

TEST_CASE("a temporary reply-to gets a name that others can send to") {
  fixture f;
  f.connect();
  const request& asked = f.send("SEND\ndestination:/queue/a\nreply-to:/temp-queue/x\n\n^");
  CHECK(asked.messages[0]->find("reply-to") == "/reply-queue/7/x");
  f.client.complete();
  CHECK(
      f.send("SEND\ndestination:/queue/a\nreply-to:/queue/b\n\n^").messages[0]->find("reply-to") ==
      "/queue/b");
}

// ---- heart-beats ----

// "CONNECTED heart-beat:<sx>,<sy>": what the server can do and what it would like to get.
TEST_CASE("heart-beats are offered, and 0 in the direction that the client does not want") {
  const auto told = [](const std::string& beats) {
    fixture f{session_limits{.heart_beat_send = 100ms, .heart_beat_receive = 200ms}};
    return f.answer_to("CONNECT\naccept-version:1.2\n" + beats + "\n^");
  };
  CHECK_THAT(told("heart-beat:50,60\n"), Contains("[heart-beat=100,200]"));
  CHECK_THAT(told("heart-beat:0,60\n"), Contains("[heart-beat=100,0]"));
  CHECK_THAT(told("heart-beat:50,0\n"), Contains("[heart-beat=0,200]"));
  CHECK_THAT(told(""), Contains("[heart-beat=0,0]"));
  CHECK_THAT(told("heart-beat:x\n"), Contains("ERROR"));
  CHECK_THAT(told("heart-beat:1\n"), Contains("expected two numbers"));
}

// "the sender MUST send ... at least every MAX(<cx>,<sy>) milliseconds"; "because of timing
// inaccuracies, the receiver SHOULD be tolerant and take into account an error margin"
TEST_CASE("a silent client is dead after two intervals, and any byte keeps it alive") {
  fixture f{session_limits{.heart_beat_send = 0ms, .heart_beat_receive = 200ms}};
  f.connect("1.2", "heart-beat:300,0\n");
  CHECK(f.client.tick(f.start + 599ms));
  f.client.heard(f.start + 599ms);
  CHECK(f.client.due() == f.start + 1199ms);
  CHECK(f.client.tick(f.start + 1198ms));
  CHECK_FALSE(f.client.tick(f.start + 1199ms));
}

TEST_CASE("the server beats at half the agreed interval when it has said nothing else") {
  fixture f{session_limits{.heart_beat_send = 100ms, .heart_beat_receive = 0ms}};
  f.connect("1.2", "heart-beat:0,300\n");
  CHECK(f.client.due() == f.start + 150ms);
  CHECK(f.client.tick(f.start + 149ms));
  CHECK(f.answer().empty());
  f.now = f.start + 149ms;
  f.answer();
  CHECK(f.client.tick(f.start + 298ms));
  CHECK_FALSE(f.client.has_output());
  CHECK(f.client.tick(f.start + 299ms));
  CHECK(f.answer() == "heart-beat");
}

TEST_CASE("a client that wants no heart-beats is never dead") {
  fixture f;
  f.connect();
  CHECK(f.client.due() == clock::time_point::max());
  CHECK(f.client.tick(f.start + 24h));
}

TEST_CASE("a client that we do not read from is not silent") {
  fixture f{session_limits{.heart_beat_send = 0ms, .heart_beat_receive = 200ms}};
  f.connect("1.2", "heart-beat:200,0\n");
  f.client.stop_listening();
  CHECK(f.client.tick(f.start + 10s));
  f.client.listen_again(f.start + 10s);
  CHECK(f.client.tick(f.start + 10s + 399ms));
  CHECK_FALSE(f.client.tick(f.start + 10s + 400ms));
}

TEST_CASE("who does not say CONNECT in time is dropped, however busily it says nothing") {
  fixture f{session_limits{.connect_within = 1s}};
  f.client.heard(f.start + 999ms);
  CHECK(f.client.tick(f.start + 999ms));
  CHECK_FALSE(f.client.tick(f.start + 1s));
}
