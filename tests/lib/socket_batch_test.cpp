// SPDX-License-Identifier: MPL-2.0
//
// Sockets that batch: what their peers receive, Parley's and plain ones.
#include <parley/error.hpp>
#include <parley/poller.hpp>
#include <parley/socket.hpp>

#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "batch_writer.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::join;
using support::patience;
using support::socket_pair;

namespace {

const std::string carriers[] = {"tcp://127.0.0.1:*", "ipc://*"};

socket_options packing(std::chrono::microseconds delay = 200us) {
  socket_options options;
  options.batch = {.bytes = 4096, .delay = delay};
  return options;
}

// A delay that no test waits for: what arrives was not sent because its time was up.
constexpr std::chrono::microseconds for_ages = 1s;

// Who cannot send for so long has a peer that does not read.
constexpr std::chrono::milliseconds stuck{300};

message text(std::size_t number) { return message{frame{std::to_string(number)}}; }

// Sends until the sender has found out that its peer unpacks; all of it is received.
void await_batching(socket& sender, socket& receiver) {
  std::size_t sent = 0;
  std::size_t received = 0;
  const auto receive = [&](std::optional<message> next) {
    REQUIRE(next == text(received));
    ++received;
  };
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (sender.statistics().batches_sent == 0) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    for (int count = 0; count < 3; ++count) {
      sender.send(text(sent++));
    }
    static_cast<void>(sender.ready());  // about to wait: the batch leaves
    while (auto next = receiver.try_receive()) {
      receive(std::move(next));
    }
  }
  while (received < sent) {
    receive(receiver.receive_for(patience));
  }
}

socket_pair joined(context& owner, const std::string& where, const socket_options& options,
                   socket_kind receiving = socket_kind::pull,
                   socket_kind sending = socket_kind::push) {
  auto sockets = join(owner, receiving, sending, where, options);
  await_batching(sockets.connected, sockets.bound);
  return sockets;
}

// What other programs have: a socket of libzmq's.
class plain_socket {
 public:
  plain_socket(context& owner, int kind) : socket_{owner.native(), kind} {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 10'000);
    socket_.set(zmq::sockopt::rcvhwm, 100'000);
  }

  void announce(const std::string& property) {
    REQUIRE(zmq_setsockopt(socket_.handle(), 95, property.data(), property.size()) == 0);
  }
  void serve_curve(const curve_keys& keys) {
    socket_.set(zmq::sockopt::curve_server, true);
    socket_.set(zmq::sockopt::curve_secretkey,
                zmq::const_buffer{keys.secret_key.bytes().data(), curve_key::size});
  }
  endpoint bind(const std::string& where = "tcp://127.0.0.1:*") {
    socket_.bind(where);
    return endpoint{socket_.get(zmq::sockopt::last_endpoint)};
  }
  void connect(const endpoint& where) { socket_.connect(where.str()); }

  void send(const frame& bytes) {
    socket_.send(zmq::const_buffer{bytes.data(), bytes.size()}, zmq::send_flags::none);
  }
  std::string receive() {
    zmq::message_t next;
    REQUIRE(socket_.recv(next).has_value());
    return next.to_string();
  }

  // From now on await_probe sees who goes.
  void watch(context& owner) {
    REQUIRE(zmq_socket_monitor(socket_.handle(), name_.c_str(), ZMQ_EVENT_DISCONNECTED) == 0);
    events_ = zmq::socket_t{owner.native(), ZMQ_PAIR};
    events_.set(zmq::sockopt::rcvtimeo, 10'000);
    events_.connect(name_);
  }
  // Until somebody has connected to ask what this socket is, and gone.
  void await_probe() {
    zmq::message_t what, where;
    REQUIRE(events_.recv(what).has_value());
    REQUIRE(events_.recv(where).has_value());
  }

 private:
  zmq::socket_t socket_;
  zmq::socket_t events_;
  std::string name_ = "inproc://watch-" + std::to_string(reinterpret_cast<std::uintptr_t>(this));
};

constexpr char other_label[] = "0123456789abcdef";

frame batch_of(std::initializer_list<const char*> texts) {
  detail::batch_label label;
  std::memcpy(label.data(), other_label, label.size());
  detail::batch_writer writer{1024, label};
  for (const char* each : texts) {
    REQUIRE(writer.add(message{frame{each}}));
  }
  return writer.batch();
}

}  // namespace

TEST_CASE("batched messages arrive as they were sent, in order, small, large and of many frames") {
  const std::vector<message> shapes{
      message{frame{std::string(16, 'a')}},
      message{frame{std::string(64, 'b')}},
      message{frame{}},
      message{frame{"topic"}, frame{}, frame{std::string(100, 'c')}},
      message{frame{std::string(900, 'd')}},
      message{frame{std::string(20'000, 'e')}},  // too large for a batch
  };
  for (const std::string& where : carriers) {
    context owner;
    auto sockets = joined(owner, where, packing());
    constexpr std::size_t rounds = 200;
    std::thread sender{[&] {
      for (std::size_t round = 0; round < rounds; ++round) {
        for (const message& each : shapes) {
          sockets.connected.send(message{each});
        }
        sockets.connected.send(text(round));
      }
    }};
    for (std::size_t round = 0; round < rounds; ++round) {
      for (const message& each : shapes) {
        CHECK(sockets.bound.receive_for(patience) == each);
      }
      CHECK(sockets.bound.receive_for(patience) == text(round));
    }
    sender.join();
    const socket_statistics sent = sockets.connected.statistics();
    const socket_statistics received = sockets.bound.statistics();
    CHECK(received.messages_received == sent.messages_sent);
    CHECK(received.bytes_received == sent.bytes_sent);
    CHECK(received.batches_received == sent.batches_sent);
    CHECK(sent.batches_sent > 1);
  }
}

TEST_CASE("pairs and dealers batch too, and what they sent leaves before they wait") {
  for (const socket_kind kind : {socket_kind::pair, socket_kind::dealer}) {
    context owner;
    auto sockets = joined(owner, "tcp://127.0.0.1:*", packing(for_ages), kind, kind);
    for (std::size_t count = 0; count < 10; ++count) {
      sockets.connected.send(text(count));
    }
    std::thread answering{[&] {
      for (std::size_t count = 0; count < 10; ++count) {
        CHECK(sockets.bound.receive_for(patience) == text(count));
      }
      sockets.bound.send(frame{"done"});
    }};
    CHECK(sockets.connected.receive() == message{frame{"done"}});
    answering.join();
  }
}

// By itself, a batch would leave after half a second at the earliest: a hundred of them would take
// longer than a test may.
TEST_CASE("who waits for answers sends what is in the batch first") {
  context owner;
  auto sockets = joined(owner, "tcp://127.0.0.1:*", packing(for_ages), socket_kind::dealer,
                        socket_kind::dealer);
  std::thread answering{[&] {
    for (std::size_t round = 0; round < 200; ++round) {
      for (std::size_t count = 0; count < 3; ++count) {
        CHECK(sockets.bound.receive_for(patience) == text(count));
      }
      sockets.bound.send(frame{"done"});
    }
  }};
  for (std::size_t round = 0; round < 200; ++round) {
    for (std::size_t count = 0; count < 3; ++count) {
      sockets.connected.send(text(count));
    }
    CHECK(sockets.connected.receive() == message{frame{"done"}});
  }
  answering.join();
}

TEST_CASE("what waits in a batch leaves in time, whatever its sender does") {
  context owner;
  auto sockets = joined(owner, "tcp://127.0.0.1:*", packing());
  for (std::size_t count = 0; count < 100; ++count) {
    sockets.connected.send(text(count));
  }
  for (std::size_t count = 0; count < 100; ++count) {
    CHECK(sockets.bound.receive_for(patience) == text(count));
  }
}

TEST_CASE("what waits in a batch leaves with its socket") {
  for (const bool closes : {false, true}) {
    context owner;
    auto sockets = joined(owner, "tcp://127.0.0.1:*", packing(for_ages));
    {
      socket leaving{std::move(sockets.connected)};
      for (std::size_t count = 0; count < 100; ++count) {
        leaving.send(text(count));
      }
      CHECK((!closes || leaving.close_for(patience).all_sent()));
    }
    for (std::size_t count = 0; count < 100; ++count) {
      CHECK(sockets.bound.receive_for(patience) == text(count));
    }
  }
}

TEST_CASE("a batching socket refuses when its peer does not read, and keeps what it accepted") {
  for (const bool goes_first : {false, true}) {
    context owner;
    socket_options tight = packing(for_ages);
    tight.send_limit = tight.receive_limit = 1;
    tight.linger = 10s;
    tight.send_buffer_bytes = tight.receive_buffer_bytes = 4096;
    auto sockets = joined(owner, "tcp://127.0.0.1:*", tight);
    std::optional<socket> sender{std::move(sockets.connected)};
    std::size_t accepted = 0;
    const std::string padding(200, '.');
    while (sender->send_for(message{frame{std::to_string(accepted)}, frame{padding}}, stuck)) {
      ++accepted;
    }
    if (goes_first) {
      sender.reset();
    }
    for (std::size_t count = 0; count < accepted; ++count) {
      const auto next = sockets.bound.receive_for(patience);
      REQUIRE(next.has_value());
      REQUIRE(next->front() == std::to_string(count));
      if (!goes_first && count + 1 == accepted / 2) {
        sender->send(message{frame{std::to_string(accepted++)}, frame{padding}});
      }
      if (!goes_first && count + 1 == accepted - 1) {
        CHECK(sender->can_send());  // and the look lets the last batch go
        static_cast<void>(sender->ready());
      }
    }
  }
}

TEST_CASE("close_for counts what is left in a batch") {
  context owner;
  socket_options tight = packing(for_ages);
  tight.send_limit = tight.receive_limit = 1;
  tight.send_buffer_bytes = tight.receive_buffer_bytes = 4096;
  auto sockets = joined(owner, "tcp://127.0.0.1:*", tight);
  const std::string padding(200, '.');
  while (sockets.connected.send_for(message{frame{padding}}, stuck)) {
  }
  const close_result left = sockets.connected.close_for(1ms);
  CHECK(left.unsent > 1);
  CHECK_FALSE(left.all_sent());
}

TEST_CASE("whoever looks sees the messages of a batch that are not yet received") {
  context owner;
  auto sockets = joined(owner, "tcp://127.0.0.1:*", packing(for_ages));
  for (std::size_t count = 0; count < 10; ++count) {
    sockets.connected.send(text(count));
  }
  static_cast<void>(sockets.connected.ready());  // about to wait: the batch leaves
  for (std::size_t count = 0; count < 9; ++count) {
    CHECK(sockets.bound.receive_for(patience) == text(count));
  }
  // The last message of the last batch is in the socket, not in libzmq.
  CHECK(sockets.bound.can_receive());
  CHECK(sockets.bound.ready().receive);
  poller waiting;
  waiting.add(sockets.bound, interest::input,
              [&] { CHECK(sockets.bound.try_receive() == text(9)); });
  CHECK(waiting.wait_for(patience) == 1);
  CHECK_FALSE(sockets.bound.can_receive());
}

TEST_CASE("a plain peer gets every message by itself") {
  context owner;
  plain_socket pull{owner, ZMQ_PULL};
  pull.watch(owner);
  socket push{owner, socket_kind::push, packing()};
  push.connect(pull.bind());
  pull.await_probe();
  for (std::size_t count = 0; count < 500; ++count) {
    push.send(text(count));
  }
  for (std::size_t count = 0; count < 500; ++count) {
    CHECK(pull.receive() == std::to_string(count));
  }
  CHECK(push.statistics().batches_sent == 0);
}

TEST_CASE("one plain peer among several is enough to send message by message") {
  context owner;
  plain_socket plain{owner, ZMQ_PULL};
  plain.watch(owner);
  socket pull{owner, socket_kind::pull};
  socket push{owner, socket_kind::push, packing()};
  push.connect(pull.bind("tcp://127.0.0.1:*"));
  await_batching(push, pull);
  const auto before = push.statistics().batches_sent;
  push.connect(plain.bind());
  plain.await_probe();
  for (std::size_t count = 0; count < 500; ++count) {
    push.send(frame{"x"});
  }
  for (std::size_t count = 0; count < 250; ++count) {
    CHECK(plain.receive() == "x");
  }
  CHECK(push.statistics().batches_sent == before);
}

TEST_CASE("a plain peer that takes a Parley peer's place gets every message by itself") {
  context owner;
  std::optional<socket> pull{std::in_place, owner, socket_kind::pull};
  socket_options options = packing();
  options.reconnect = 1ms;
  socket push{owner, socket_kind::push, options};
  const endpoint where = pull->bind("tcp://127.0.0.1:*");
  push.connect(where);
  await_batching(push, *pull);
  CHECK(pull->close_for(patience).all_sent());
  pull.reset();
  plain_socket plain{owner, ZMQ_PULL};
  plain.watch(owner);
  for (bool is_free = false; !is_free;) {
    try {
      static_cast<void>(plain.bind(where.str()));
      is_free = true;
    } catch (const zmq::error_t&) {
      std::this_thread::yield();  // libzmq lets go of the port in the background
    }
  }
  plain.await_probe();
  const auto before = push.statistics().batches_sent;
  for (std::size_t count = 0; count < 500; ++count) {
    push.send(text(count));
  }
  for (std::size_t count = 0; count < 500; ++count) {
    CHECK(plain.receive() == std::to_string(count));
  }
  CHECK(push.statistics().batches_sent == before);
}

TEST_CASE("a sender finds out anew when its peer comes back") {
  context owner;
  std::optional<socket> pull{std::in_place, owner, socket_kind::pull};
  socket_options options = packing();
  options.reconnect = 1ms;
  socket push{owner, socket_kind::push, options};
  const endpoint where = pull->bind("tcp://127.0.0.1:*");
  push.connect(where);
  await_batching(push, *pull);
  static_cast<void>(pull->close_for(patience));
  pull.emplace(owner, socket_kind::pull);
  for (bool is_free = false; !is_free;) {
    try {
      static_cast<void>(pull->bind(where));
      is_free = true;
    } catch (const error&) {
      std::this_thread::yield();
    }
  }
  const auto before = push.statistics().batches_sent;
  while (push.statistics().batches_sent < before + 2) {
    push.send(frame{"x"});
    push.send(frame{"x"});
    while (pull->try_receive()) {
    }
  }
  CHECK(pull->statistics().dropped_unwanted == 0);
}

TEST_CASE("a push that is a CURVE client batches, and knows a plain peer under CURVE") {
  context owner;
  const curve_keys server = generate_curve_keys();
  socket_options secret;
  secret.curve = server;
  socket_options client = packing();
  client.curve = server.public_key;
  socket pull{owner, socket_kind::pull, secret};
  socket push{owner, socket_kind::push, client};
  push.connect(pull.bind("tcp://127.0.0.1:*"));
  await_batching(push, pull);

  plain_socket plain{owner, ZMQ_PULL};
  plain.serve_curve(server);
  plain.watch(owner);
  socket other{owner, socket_kind::push, client};
  other.connect(plain.bind());
  plain.await_probe();
  for (std::size_t count = 0; count < 500; ++count) {
    other.send(text(count));
  }
  for (std::size_t count = 0; count < 500; ++count) {
    CHECK(plain.receive() == std::to_string(count));
  }
  CHECK(other.statistics().batches_sent == 0);
}

TEST_CASE("a socket that binds, or shares its libzmq socket, sends message by message") {
  context owner;
  socket push{owner, socket_kind::push, packing()};
  socket pull{owner, socket_kind::pull};
  pull.connect(push.bind("tcp://127.0.0.1:*"));
  auto sockets = joined(owner, "tcp://127.0.0.1:*", packing());
  auto leaving = joined(owner, "tcp://127.0.0.1:*", packing(for_ages));
  for (std::size_t count = 0; count < 10; ++count) {
    leaving.connected.send(text(count));
  }
  static_cast<void>(leaving.connected.native());  // what is in the batch leaves
  for (std::size_t count = 0; count < 10; ++count) {
    CHECK(leaving.bound.receive_for(patience) == text(count));
  }
  const auto before = sockets.connected.statistics().batches_sent;
  static_cast<void>(sockets.connected.native());
  for (std::size_t count = 0; count < 200; ++count) {
    push.send(text(count));
    sockets.connected.send(text(count));
  }
  for (std::size_t count = 0; count < 200; ++count) {
    CHECK(pull.receive_for(patience) == text(count));
    CHECK(sockets.bound.receive_for(patience) == text(count));
  }
  CHECK(push.statistics().batches_sent == 0);
  CHECK(sockets.connected.statistics().batches_sent == before);
}

TEST_CASE("a socket that was bound inside the process first unpacks batches from outside too") {
  struct kinds {
    socket_kind receiving, sending;
  };
  const auto [receiving, sending] = GENERATE(kinds{socket_kind::pull, socket_kind::push},
                                             kinds{socket_kind::pair, socket_kind::pair},
                                             kinds{socket_kind::dealer, socket_kind::dealer});
  const std::string carrier = GENERATE("tcp://127.0.0.1:*", "ipc://*");
  context owner;
  socket receiver{owner, receiving};
  receiver.bind(endpoint{"inproc://inside"});
  CHECK_FALSE(receiver.try_receive().has_value());
  socket sender{owner, sending, packing()};
  sender.connect(receiver.bind(endpoint{carrier}));
  await_batching(sender, receiver);
  CHECK(receiver.statistics().batches_received > 0);
}

TEST_CASE("what merely looks like a batch is a message") {
  context owner;
  socket pull{owner, socket_kind::pull};
  const endpoint where = pull.bind("tcp://127.0.0.1:*");
  const frame forged = batch_of({"a", "b"});
  plain_socket plain{owner, ZMQ_PUSH};
  plain.connect(where);
  plain.send(forged);
  CHECK(pull.receive_for(patience) == message{forged});
  socket push{owner, socket_kind::push, packing()};
  push.connect(where);
  push.send(message{forged});
  CHECK(pull.receive_for(patience) == message{forged});
  await_batching(push, pull);
  push.send(message{forged});
  push.send(message{forged});
  CHECK(pull.receive_for(patience) == message{forged});
  CHECK(pull.receive_for(patience) == message{forged});
  CHECK(pull.statistics().dropped_unwanted == 0);
}

TEST_CASE("a malformed batch is dropped and counted, and the next one is received") {
  context owner;
  socket pull{owner, socket_kind::pull};
  plain_socket push{owner, ZMQ_PUSH};
  push.announce(std::string{"X-Parley-Batches:"} + other_label);
  push.connect(pull.bind("tcp://127.0.0.1:*"));
  const frame good = batch_of({"a", "b"});
  push.send(frame{good.str() + "\x05cut"});
  push.send(frame{good.str() + std::string(1'000, '\x7f')});
  push.send(good);
  push.send(frame{"plain"});
  const bool without_deadline = GENERATE(true, false);  // which comes another way
  for (const char* each : {"a", "b", "plain"}) {
    CHECK((without_deadline ? pull.receive() : pull.receive_for(patience)) == message{frame{each}});
  }
  const socket_statistics figures = pull.statistics();
  CHECK(figures.dropped_unwanted == 2);
  CHECK(figures.messages_received == 3);
  CHECK(figures.batches_received == 1);
}

TEST_CASE("a context that is shut down ends a batching socket's waits") {
  context owner;
  auto sockets = joined(owner, "tcp://127.0.0.1:*", packing(for_ages), socket_kind::dealer,
                        socket_kind::dealer);
  std::thread stopping{[&] { owner.shutdown(); }};
  CHECK_THROWS_AS(sockets.connected.receive(), closed);
  stopping.join();
  CHECK_THROWS_AS(sockets.connected.send(frame{"x"}), closed);
}

TEST_CASE("batches of a size or delay that makes no sense are refused") {
  context owner;
  socket_options options;
  options.batch.bytes = 10;
  CHECK_THROWS_AS((socket{owner, socket_kind::push, options}), config_error);
  options.batch.bytes = 2 << 20;
  CHECK_THROWS_AS((socket{owner, socket_kind::push, options}), config_error);
  options.batch = {.bytes = 8192, .delay = 0us};
  CHECK_THROWS_AS((socket{owner, socket_kind::push, options}), config_error);
}
