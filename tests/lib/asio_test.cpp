// SPDX-License-Identifier: MPL-2.0
#include <parley/asio.hpp>

#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/bind_cancellation_slot.hpp>
#endif
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/connected.hpp"

namespace asio = boost::asio;
using boost::system::error_code;
using namespace parley;
using namespace std::chrono_literals;
using support::join;
using support::patience;

namespace {

const std::string everywhere[]{"pipe://asio", "inproc://asio", "tcp://127.0.0.1:*", "ipc://*"};

// Two joined sockets, and the loop of those that were given to it.
struct asio_world {
  asio_world(socket_kind bound, socket_kind connected, const std::string& where,
             const socket_options& options = {})
      : sockets{join(owner, bound, connected, where, options)} {}

  [[nodiscard]] asio_socket take(parley::socket& plain) {
    return asio_socket{io.get_executor(), std::move(plain)};
  }
  // False: something still waits for what does not come.
  [[nodiscard]] bool run() {
    io.restart();
    io.run_for(patience);
    return io.stopped();
  }

  context owner;
  support::socket_pair sockets;
  asio::io_context io;
};

socket_options small() {
  socket_options options;
  options.send_limit = options.receive_limit = 1;
  return options;
}

}  // namespace

TEST_CASE("a callback gets the message that is there, and the one that comes") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::pull, socket_kind::push, where};
    auto pull = world.take(world.sockets.bound);
    std::string got;
    for (int round = 0; round < 20; ++round) {
      got.clear();
      bool called_at_once = true;
      const auto receive = [&] {
        pull.async_receive([&](error_code failed, message received) {
          CHECK_FALSE(failed);
          CHECK_FALSE(called_at_once);
          got = received.front().str();
        });
        called_at_once = false;
      };
      world.sockets.connected.send(frame{"there"});
      receive();
      CHECK(world.run());
      CHECK(got == "there");

      called_at_once = true;
      receive();
      std::jthread sender{[&] { world.sockets.connected.send(frame{"comes"}); }};
      CHECK(world.run());
      CHECK(got == "comes");
    }
  }
}

TEST_CASE("a future gets what async_receive found") {
  asio_world world{socket_kind::pull, socket_kind::push, "pipe://asio"};
  auto pull = world.take(world.sockets.bound);
  auto received = pull.async_receive(asio::use_future);
  std::jthread loop{[&] { CHECK(world.run()); }};
  world.sockets.connected.send(frame{"x"});
  CHECK(received.get() == message{frame{"x"}});
}

TEST_CASE("async_send waits for room") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::pull, socket_kind::push, where, small()};
    auto push = world.take(world.sockets.connected);
    constexpr int count = 1000;
    int sent = 0;
    const std::function<void()> send_next = [&] {
      push.async_send(frame{std::to_string(sent)}, [&](error_code failed) {
        CHECK_FALSE(failed);
        if (++sent < count) {
          send_next();
        }
      });
    };
    send_next();
    int right = 0;
    std::jthread reader{[&] {
      for (int number = 0; number < count; ++number) {
        const auto received = world.sockets.bound.receive_for(patience);
        right += received && received->front() == std::to_string(number) ? 1 : 0;
      }
    }};
    CHECK(world.run());
    reader.join();
    CHECK(sent == count);
    CHECK(right == count);
  }
}

TEST_CASE("both directions of one socket are under way at once") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::pair, socket_kind::pair, where, small()};
    auto pair = world.take(world.sockets.bound);
    constexpr int count = 1000;
    int sent = 0;
    int received = 0;
    const std::function<void()> send_next = [&] {
      pair.async_send(frame{"x"}, [&](error_code failed) {
        CHECK_FALSE(failed);
        if (++sent < count) {
          send_next();
        }
      });
    };
    const std::function<void()> receive_next = [&] {
      pair.async_receive([&](error_code failed, const message&) {
        CHECK_FALSE(failed);
        if (++received < count) {
          receive_next();
        }
      });
    };
    receive_next();
    send_next();
    std::jthread echo{[&] {
      for (int number = 0; number < count; ++number) {
        world.sockets.connected.send(world.sockets.connected.receive());
      }
    }};
    CHECK(world.run());
    CHECK(sent == count);
    CHECK(received == count);
  }
}

TEST_CASE("cancelled operations say so, and take no message") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::pull, socket_kind::push, where};
    auto pull = world.take(world.sockets.bound);
    error_code failed;
    pull.async_receive([&](error_code why, const message&) { failed = why; });
    asio::post(world.io, [&] { pull.cancel(); });
    CHECK(world.run());
    CHECK(failed == asio::error::operation_aborted);
    world.sockets.connected.send(frame{"x"});
    auto received = pull.async_receive(asio::use_future);
    CHECK(world.run());
    CHECK(received.get() == message{frame{"x"}});
  }
}

TEST_CASE("an asio_socket that is destroyed cancels its operations") {
  asio_world world{socket_kind::pull, socket_kind::push, "pipe://asio"};
  std::optional<asio_socket> pull{world.take(world.sockets.bound)};
  error_code failed;
  pull->async_receive([&](error_code why, const message&) { failed = why; });
  asio::post(world.io, [&] { pull.reset(); });
  CHECK(world.run());
  CHECK(failed == asio::error::operation_aborted);
}

TEST_CASE("a loop may go before its operations have ended") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://asio");
  std::optional<asio::io_context> io{std::in_place};
  {
    asio_socket pull{io->get_executor(), std::move(sockets.bound)};
    pull.async_receive([](error_code, const message&) { FAIL(); });
    io->poll();
  }
  io.reset();
}

TEST_CASE("the end of the context ends asynchronous operations") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::pull, socket_kind::push, where};
    auto pull = world.take(world.sockets.bound);
    error_code failed;
    pull.async_receive([&](error_code why, const message&) { failed = why; });
    std::jthread other{[&] { world.owner.shutdown(); }};
    CHECK(world.run());
    CHECK(failed == errc::closed);
    CHECK(failed != errc::out_of_turn);
    CHECK(failed.message() == make_error_code(errc::closed).message());
  }
}

TEST_CASE("an operation that waits notices what else was done with its socket") {
  context owner;
  asio::io_context io;
  asio_socket pull{io.get_executor(), parley::socket{owner, socket_kind::pull}};
  for (const std::string where : {"pipe://later", "inproc://later", "tcp://127.0.0.1:0"}) {
    INFO(where);
    parley::socket push{owner, socket_kind::push};
    const endpoint at = push.bind(where);
    auto received = pull.async_receive(asio::use_future);
    asio::post(io, [&] { pull.with([&](parley::socket& plain) { plain.connect(at); }); });
    std::jthread other{[&] { CHECK(push.send_for(frame{"y"}, patience)); }};
    io.restart();
    io.run_for(patience);
    CHECK(received.wait_for(0s) == std::future_status::ready);
    other.join();
    while (pull.with([](parley::socket& plain) { return plain.receive_for(1ms); })) {
    }
  }
}

TEST_CASE("a router tells at once that there is no such peer") {
  for (const std::string& where : everywhere) {
    INFO(where);
    asio_world world{socket_kind::router, socket_kind::dealer, where};
    auto router = world.take(world.sockets.bound);
    error_code failed;
    router.async_send(message{"nobody", "x"}, [&](error_code why) { failed = why; });
    CHECK(world.run());
    CHECK(failed == asio::error::host_unreachable);
  }
}

#ifdef BOOST_ASIO_HAS_CO_AWAIT
TEST_CASE("Asio's coroutines call each other") {
  for (const std::string& where : everywhere) {
    INFO(where);
    constexpr int rounds = 100;
    asio_world world{socket_kind::rep, socket_kind::req, where};
    auto rep = world.take(world.sockets.bound);
    auto req = world.take(world.sockets.connected);
    int right = 0;
    const auto answer = [&]() -> asio::awaitable<void> {
      for (int round = 0; round < rounds; ++round) {
        message question = co_await rep.async_receive(asio::use_awaitable);
        co_await rep.async_send(std::move(question), asio::use_awaitable);
      }
    };
    const auto ask = [&]() -> asio::awaitable<void> {
      for (int round = 0; round < rounds; ++round) {
        message question{frame{std::to_string(round)}};
        co_await req.async_send(std::move(question), asio::use_awaitable);
        const message reply = co_await req.async_receive(asio::use_awaitable);
        right += reply.front() == std::to_string(round) ? 1 : 0;
      }
    };
    asio::co_spawn(world.io, answer, asio::detached);
    asio::co_spawn(world.io, ask, asio::detached);
    CHECK(world.run());
    CHECK(right == rounds);
  }
}
#endif

#if BOOST_ASIO_VERSION >= 101900
TEST_CASE("a cancellation slot ends one operation and leaves the other") {
  asio_world world{socket_kind::pair, socket_kind::pair, "pipe://asio", small()};
  auto pair = world.take(world.sockets.bound);
  asio::cancellation_signal stop;
  error_code failed;
  pair.async_receive(asio::bind_cancellation_slot(
      stop.slot(), [&](error_code why, const message&) { failed = why; }));
  while (pair.with([](parley::socket& plain) { return plain.try_send(frame{"x"}); })) {
  }
  auto sent = pair.async_send(frame{"y"}, asio::use_future);
  asio::post(world.io, [&] { stop.emit(asio::cancellation_type::total); });
  asio::post(world.io, [&] {
    while (world.sockets.connected.try_receive()) {
    }
  });
  CHECK(world.run());
  CHECK(failed == asio::error::operation_aborted);
  CHECK_NOTHROW(sent.get());
}
#endif
