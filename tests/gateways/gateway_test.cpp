// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/pipeline.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>
#include <parley/stomp_gateway.hpp>

#include <thread>

#include "raw_client.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::Matchers::StartsWith;
using stomp::bytes;
using stomp::raw_client;
using stomp::version;
using support::patience;

namespace {

stomp_gateway_options any_port(const stomp::limits& limits = {}) {
  stomp_gateway_options options;
  options.port = 0;
  options.limits = limits;
  options.linger = 100ms;
  return options;
}

struct fixture {
  explicit fixture(const stomp::limits& limits = {}) : gateway{owner, any_port(limits)} {
    gateway.start();
  }

  raw_client client(version form = version::v1_2, const std::string& more = {}) {
    return {gateway.port(), form, more};
  }
  // Until the numbers say so.
  template<typename Holds>
  bool wait_until(Holds holds) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!holds(gateway.statistics())) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }

  context owner;
  stomp_gateway gateway;
};

const endpoint anywhere{"tcp://127.0.0.1:*"};

}  // namespace

// ---- clients among themselves ----

TEST_CASE("a topic's message reaches its subscribers, in every version, byte for byte") {
  fixture f;
  auto one = f.client(version::v1_0);
  auto two = f.client(version::v1_1);
  auto three = f.client(version::v1_2);
  one.subscribe("/topic/a.b");
  two.subscribe("/topic/a.*");
  three.subscribe("/topic/#");
  three.send_bytes(
      bytes("SEND\ndestination:/topic/a.b\nx:1\\c2\ncontent-type:image/png\n"
            "content-length:3\n\n\x01\0\xff\0"));
  for (raw_client* const each : {&one, &two, &three}) {
    CHECK_THAT(each->next(), StartsWith("MESSAGE"));
    CHECK(each->header("destination") == "/topic/a.b");
    CHECK(each->header("x") == "1:2");
    CHECK(each->header("content-type") == "image/png");
    CHECK(each->body() == bytes("\x01\0\xff"));
  }
}

TEST_CASE("a queue deals its messages out, and takes back what a killed client held") {
  fixture f;
  auto sender = f.client();
  for (const char* const body : {"a", "b", "c"}) {
    sender.send_and_wait("SEND\ndestination:/queue/jobs\n", body);
  }
  {
    auto killed = f.client();
    killed.subscribe("/queue/jobs", "s", "ack:client-individual\nprefetch-count:2\n");
    CHECK_THAT(killed.next(), Contains("a"));
    CHECK_THAT(killed.next(), Contains("b"));
    killed.send_and_wait("ACK\nid:" + killed.header("ack") + "\n");
  }
  auto heir = f.client();
  heir.subscribe("/queue/jobs", "s", "ack:client\n");
  heir.next();
  CHECK(heir.body() == "a");
  CHECK(heir.header("redelivered") == "true");
  heir.next();
  CHECK(heir.body() == "c");
}

TEST_CASE("a SEND to a full queue waits, its receipt says when, and nothing is lost") {
  stomp::limits limits;
  limits.queues.messages = 3;
  fixture f{limits};
  auto sender = f.client();
  for (int i = 0; i < 5; ++i) {
    sender.send("SEND\ndestination:/queue/jobs\nreceipt:" + std::to_string(i) + "\n\n" +
                std::to_string(i) + "^");
  }
  for (int i = 0; i < 3; ++i) {
    CHECK(sender.next() == "RECEIPT [receipt-id=" + std::to_string(i) + "]");
  }
  REQUIRE(f.wait_until([](const auto& now) { return now.waits == 1; }));
  auto taker = f.client();
  taker.subscribe("/queue/jobs");
  for (int i = 0; i < 5; ++i) {
    taker.next();
    CHECK(taker.body() == std::to_string(i));
  }
  CHECK(sender.next() == "RECEIPT [receipt-id=3]");
  CHECK(sender.next() == "RECEIPT [receipt-id=4]");
}

TEST_CASE("a SEND that waited too long is an ERROR that says so") {
  stomp::limits limits;
  limits.queues.messages = 1;
  limits.queue_wait = 1ms;
  fixture f{limits};
  auto sender = f.client();
  sender.send("SEND\ndestination:/queue/jobs\n\na^");
  sender.send("SEND\ndestination:/queue/jobs\nreceipt:2\n\nb^");
  CHECK_THAT(sender.next(),
             StartsWith("ERROR [receipt-id=2] [message=the queue 'jobs' stayed full for 1 ms"));
  CHECK(sender.next() == "closed");
}

TEST_CASE("a slow topic subscriber misses messages, is told how many, and holds up nobody") {
  stomp::limits limits;
  limits.output = 64 * 1024;
  fixture f{limits};
  raw_client slow{f.gateway.port(), 4 * 1024};
  slow.send("CONNECT\naccept-version:1.2\n\n^");
  slow.next();
  slow.subscribe("/topic/a");
  auto quick = f.client();
  quick.subscribe("/topic/a");
  auto sender = f.client();
  const std::string body(10'000, 'x');
  std::size_t sent = 0;
  // As much as fits into the kernel's buffers, and then more.
  while (f.gateway.statistics().dropped_slow < 10) {
    sender.send_and_wait("SEND\ndestination:/topic/a\n", body);
    CHECK_THAT(quick.next(), StartsWith("MESSAGE"));
    ++sent;
    REQUIRE(sent < 10'000);
  }
  std::size_t received = 0;
  std::size_t told = 0;
  while (received + told < sent) {
    if (slow.next(100ms) == "nothing") {
      sender.send_and_wait("SEND\ndestination:/topic/a\n", body);
      ++sent;
      continue;
    }
    ++received;
    if (const std::string dropped = slow.header("parley-dropped"); !dropped.empty()) {
      told += std::stoul(dropped);
    }
  }
  CHECK(received + told == sent);
  CHECK(told == f.gateway.statistics().dropped_slow);
}

// ---- bad clients ----

TEST_CASE("bad input gets an ERROR that says what is wrong, and nobody else notices") {
  fixture f;
  auto good = f.client();
  good.subscribe("/topic/a");
  raw_client web{f.gateway.port()};
  web.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(100'000, 'x'));
  CHECK_THAT(web.next(), StartsWith("ERROR [message=unknown command 'GET / HTTP/1.'"));
  CHECK(web.next() == "closed");
  auto wrong = f.client();
  wrong.send("SEND\ndestination:/nowhere\n\n^");
  CHECK_THAT(wrong.next(), Contains("unknown destination '/nowhere'"));
  CHECK(wrong.next() == "closed");
  auto sender = f.client();
  sender.send("SEND\ndestination:/topic/a\n\nstill here^");
  CHECK_THAT(good.next(), Contains("still here"));
  CHECK(f.wait_until([](const auto& now) { return now.connections == 2; }));
  CHECK(f.gateway.statistics().errors == 2);
}

TEST_CASE("DISCONNECT is answered, then the connection closes") {
  fixture f;
  auto one = f.client();
  one.send("DISCONNECT\nreceipt:bye\n\n^");
  CHECK(one.next() == "RECEIPT [receipt-id=bye]");
  CHECK(one.next() == "closed");
}

TEST_CASE("a client that stops beating is dropped, one that beats is not") {
  stomp::limits limits;
  limits.sessions.heart_beat_receive = 50ms;
  limits.sessions.heart_beat_send = 50ms;
  fixture f{limits};
  auto quiet = f.client(version::v1_2, "heart-beat:50,0\n");
  auto lively = f.client(version::v1_2, "heart-beat:50,0\n");
  while (quiet.next(20ms) == "nothing")
    lively.send("\n");
  lively.send_and_wait("SEND\ndestination:/topic/a\n");
  CHECK(f.gateway.statistics().dead == 1);
}

TEST_CASE("who connects and says nothing is dropped") {
  stomp::limits limits;
  limits.sessions.connect_within = 10ms;
  fixture f{limits};
  raw_client silent{f.gateway.port()};
  CHECK(silent.next() == "closed");
}

TEST_CASE("a connection too many is refused with an ERROR, until another one ends") {
  stomp::limits limits;
  limits.connections = 1;
  fixture f{limits};
  {
    auto one = f.client();
    raw_client two{f.gateway.port()};
    CHECK_THAT(two.next(), Contains("too many connections: at most 1"));
    CHECK(two.next() == "closed");
    CHECK(f.gateway.statistics().refused == 1);
    one.send_and_wait("SEND\ndestination:/topic/a\n");
  }
  REQUIRE(f.wait_until([](const auto& now) { return now.connections == 0; }));
  auto three = f.client();
  three.send_and_wait("SEND\ndestination:/topic/a\n");
}

// ---- native peers ----

TEST_CASE("a native publisher reaches STOMP subscribers, and only what they want is asked for") {
  fixture f;
  publisher prices{f.owner};
  f.gateway.topics_in().connect(prices.bind(anywhere));
  auto client = f.client();
  client.subscribe("/topic/prices.*.usd");
  REQUIRE(prices.wait_for_subscribers(1, patience, "prices.x.usd"));
  CHECK(prices.subscribers("weather") == 0);
  prices.publish("prices.eur.usd", "1.08");
  prices.publish("prices.eur.gbp", "0.86");
  prices.publish("prices.jpy.usd", bytes("\xff\0"));
  CHECK_THAT(client.next(), Contains("1.08"));
  CHECK(client.header("destination") == "/topic/prices.eur.usd");
  CHECK(client.header("content-type") == "text/plain");
  client.next();
  CHECK(client.body() == bytes("\xff\0"));
  CHECK(client.header("content-type") == "application/octet-stream");
  client.send_and_wait("UNSUBSCRIBE\nid:s\n");
  while (prices.subscribers("prices.x.usd") != 0)
    std::this_thread::yield();
}

TEST_CASE("what a STOMP client sends to a topic reaches native subscribers, once") {
  fixture f;
  subscriber native{f.owner};
  native.subscribe("news");
  native.connect(f.gateway.topics_out().bind(anywhere));
  auto client = f.client();
  client.subscribe("/topic/news.#");
  std::optional<publication> got;
  while (!got) {
    client.send("SEND\ndestination:/topic/news.today\n\nhello^");
    got = native.receive_for(10ms);
  }
  CHECK(got->topic == "news.today");
  CHECK(got->body == "hello");
}

TEST_CASE("tasks flow from STOMP clients to native workers") {
  fixture f;
  worker native{f.owner};
  native.connect(f.gateway.queue_out("jobs").bind(anywhere));
  auto client = f.client();
  for (int i = 0; i < 100; ++i) {
    client.send("SEND\ndestination:/queue/jobs\n\n" + std::to_string(i) + "^");
  }
  for (int i = 0; i < 100; ++i) {
    auto got = native.receive_for(patience);
    REQUIRE(got);
    CHECK(got->body == std::to_string(i));
    got->done();
  }
}

TEST_CASE("tasks wait in the queue for a native worker that comes later") {
  fixture f;
  const endpoint where = f.gateway.queue_out("jobs").bind(anywhere);
  auto client = f.client();
  for (int i = 0; i < 10; ++i) {
    client.send_and_wait("SEND\ndestination:/queue/jobs\n", std::to_string(i));
  }
  worker native{f.owner, where};
  for (int i = 0; i < 10; ++i) {
    auto got = native.receive_for(patience);
    REQUIRE(got);
    CHECK(got->body == std::to_string(i));
    got->done();
  }
}

TEST_CASE("tasks flow from native sources to STOMP clients, and wait at the source when full") {
  stomp::limits limits;
  limits.queues.messages = 10;
  fixture f{limits};
  source native{f.owner, source_options{.limit = 10}};
  native.connect(f.gateway.queue_in("jobs").bind(anywhere));
  std::thread pushing{[&] {
    for (int i = 0; i < 5'000; ++i)
      native.push(std::to_string(i));
  }};
  REQUIRE(f.wait_until([](const auto& now) { return now.native_in == 10; }));
  auto client = f.client();
  client.subscribe("/queue/jobs", "s", "ack:client\n");
  int wrong = 0;
  for (int i = 0; i < 5'000; ++i) {
    client.next();
    wrong += client.body() != std::to_string(i);
    client.send("ACK\nid:" + client.header("ack") + "\n\n^");
  }
  CHECK(wrong == 0);
  pushing.join();
}

TEST_CASE("clients that made all the queues there may be do not keep native links out") {
  stomp::limits limits;
  limits.queue_count = 1;
  fixture f{limits};
  auto client = f.client();
  client.send_and_wait("SEND\ndestination:/queue/other\n", "x");
  worker native{f.owner};
  native.connect(f.gateway.queue_out("jobs").bind(anywhere));
  source feeding{f.owner};
  feeding.connect(f.gateway.queue_in("jobs").bind(anywhere));
  feeding.push("task");
  auto got = native.receive_for(patience);
  REQUIRE(got);
  CHECK(got->body == "task");
  got->done();
}

TEST_CASE("a native source and a STOMP consumer share a queue, and nothing is stuck at either") {
  fixture f;
  f.gateway.queue_out("jobs").bind(anywhere);  // nobody there
  auto client = f.client();
  client.subscribe("/queue/jobs");
  for (int i = 0; i < 50; ++i) {
    client.send("SEND\ndestination:/queue/jobs\n\n" + std::to_string(i) + "^");
    client.next();
    CHECK(client.body() == std::to_string(i));
  }
}

TEST_CASE("a service is called, and its reply needs no SUBSCRIBE") {
  fixture f;
  server calculator{f.owner};
  calculator.handle("add", [](int a, int b) { return a + b; });
  calculator.handle("shout", [](const std::string& text) { return text + "!"; });
  calculator.handle("fail", []() -> int { throw std::runtime_error{"no such account"}; });
  const endpoint where = calculator.bind(anywhere);
  f.gateway.service("add").connect(where);
  f.gateway.service("calculator").connect(where);
  auto client = f.client();
  const auto call = [&](const std::string& name, const std::string& more, const std::string& body) {
    client.send("SEND\ndestination:/service/" + name +
                "\nreply-to:/temp-queue/answers\ncorrelation-id:7\n" + more + "\n" + body + "^");
    client.next();
    CHECK(client.header("correlation-id") == "7");
    CHECK(client.header("destination") == "/temp-queue/answers");
    CHECK(client.header("subscription") == "/temp-queue/answers");
    return client.header("error") + "|" + client.header("content-type") + "|" + client.body();
  };
  CHECK(call("add", "", "[2, 3]") == "|application/json|5");
  CHECK(call("calculator/add", "content-type:application/json\n", "[2, 3]") ==
        "|application/json|5");
  CHECK(call("calculator/shout", "content-type:text/plain\n", "hey") ==
        "|application/json|\"hey!\"");
  CHECK(call("calculator/add", "content-type:application/msgpack\n", "\x92\x02\x03") ==
        "|application/msgpack|\x05");
  CHECK_THAT(call("calculator/fail", "", "[]"), Contains("no such account"));
  CHECK_THAT(call("add", "", "{nonsense"),
             StartsWith("bad_request|text/plain|the body is not JSON"));
  CHECK_THAT(call("nobody", "", "[]"), StartsWith("no_such_service|"));
  CHECK_THAT(call("add", "timeout:soon\n", "[]"), StartsWith("bad_request|"));
}

TEST_CASE(
    "a service without a server is given up in time, and the reply says that it was not done") {
  fixture f;
  f.gateway.service("nobody").bind(anywhere);
  auto client = f.client();
  client.send("SEND\ndestination:/service/nobody\nreply-to:/temp-queue/a\ntimeout:20\n\n[]^");
  client.next();
  CHECK(client.header("error") == "no_server");
}

TEST_CASE("a service that does not answer is given up in time, and holds up nothing") {
  fixture f;
  parley::socket silent{f.owner, socket_kind::router};
  f.gateway.service("silent").connect(silent.bind(anywhere));
  auto client = f.client();
  client.send("SEND\ndestination:/service/silent\nreply-to:/temp-queue/a\ntimeout:20000\n\n[]^");
  REQUIRE(silent.receive_for(patience).has_value());
  client.send("SEND\ndestination:/service/silent\nreply-to:/temp-queue/a\ntimeout:20\n\n[]^");
  client.next();
  CHECK(client.header("error") == "timed_out");
  auto other = f.client();
  other.send_and_wait("SEND\ndestination:/topic/a\n");
}

TEST_CASE("replies can be subscribed to, and acknowledged") {
  fixture f;
  server calculator{f.owner};
  calculator.handle("add", [](int a, int b) { return a + b; });
  f.gateway.service("add").connect(calculator.bind(anywhere));
  auto client = f.client();
  client.subscribe("/temp-queue/a", "mine", "ack:client-individual\nprefetch-count:1\n");
  for (int i = 0; i < 3; ++i) {
    client.send("SEND\ndestination:/service/add\nreply-to:/temp-queue/a\n\n[" + std::to_string(i) +
                ",1]^");
  }
  for (int i = 1; i <= 3; ++i) {
    client.next();
    CHECK(client.header("subscription") == "mine");
    CHECK(client.body() == std::to_string(i));
    client.send("ACK\nid:" + client.header("ack") + "\n\n^");
  }
}

TEST_CASE("STOMP clients can serve requests of other STOMP clients") {
  fixture f;
  auto asker = f.client();
  auto worker_client = f.client();
  worker_client.subscribe("/queue/rpc");
  asker.send("SEND\ndestination:/queue/rpc\nreply-to:/temp-queue/mine\n\n2+3^");
  worker_client.next();
  CHECK(worker_client.body() == "2+3");
  worker_client.send("SEND\ndestination:" + worker_client.header("reply-to") + "\n\n5^");
  asker.next();
  CHECK(asker.body() == "5");
  CHECK(asker.header("destination") == "/temp-queue/mine");
}

// ---- start and stop ----

TEST_CASE("a port that is taken is an error that names it") {
  fixture f;
  stomp_gateway_options options;
  options.port = f.gateway.port();
  CHECK_THROWS_WITH((stomp_gateway{f.owner, options}),
                    Contains("127.0.0.1:" + std::to_string(options.port)));
}

TEST_CASE("stop tells the clients, and ends whoever waits") {
  fixture f;
  auto client = f.client();
  f.gateway.topics_in().bind(anywhere);
  f.gateway.queue_in("a").bind(anywhere);
  f.gateway.queue_out("a").bind(anywhere);
  f.gateway.service("a").bind(anywhere);
  client.send("SEND\ndestination:/service/a\nreply-to:/temp-queue/a\n\n[]^");
  REQUIRE(f.wait_until([](const auto& now) { return now.calls == 1; }));
  std::thread stopping{[&] { f.gateway.stop(); }};
  CHECK_THAT(client.next(), Contains("this gateway is shutting down"));
  CHECK(client.next() == "closed");
  stopping.join();
  CHECK_THROWS_AS(f.gateway.topics_in(), closed);
}

TEST_CASE("a client that still sends when it is told to go is listened to until it goes") {
  stomp_gateway_options options = any_port();
  options.linger = std::chrono::hours{1};
  context owner;
  stomp_gateway gateway{owner, options};
  gateway.start();
  std::thread stopping;
  {
    raw_client client{gateway.port(), version::v1_2};
    stopping = std::thread{[&] { gateway.stop(); }};
    CHECK_THAT(client.next(), Contains("this gateway is shutting down"));
    client.send("SEND\ndestination:/topic/a\n\n" + std::string(100'000, 'x') + "^");
  }
  stopping.join();  // not after the linger time, but when the client has hung up
}

TEST_CASE("stop does not wait for a client that does not read") {
  stomp_gateway_options options = any_port();
  options.linger = 50ms;
  context owner;
  stomp_gateway gateway{owner, options};
  gateway.start();
  raw_client stuck{gateway.port(), version::v1_2};
  stuck.subscribe("/topic/a");
  const std::string body(100'000, 'x');
  raw_client sender{gateway.port(), version::v1_2};
  for (int i = 0; i < 100; ++i)
    sender.send_and_wait("SEND\ndestination:/topic/a\n", body);
  gateway.stop();
}
