// SPDX-License-Identifier: MPL-2.0
//
// Pipes of messages, which lie packed in them.
#include <parley/borrowed_frame.hpp>
#include <parley/message.hpp>
#include <parley/pipe/spsc_pipe.hpp>

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.hpp"

namespace {

using parley::frame;
using parley::message;
using parley::push_result;
using parley::spsc_pipe;

// Of up to four frames, around each length at which the packing changes, and large ones.
message any_message(std::minstd_rand& random) {
  message made;
  for (auto frames = random() % 5; frames > 0; --frames) {
    constexpr std::size_t lengths[] = {0, 1, 7, 8, 9, 16, 17, 32, 33, 63, 64, 65, 200};
    std::string body(lengths[random() % std::size(lengths)], '\0');
    for (char& each : body) {
      each = static_cast<char>(random());
    }
    made.push_back(frame{body});
  }
  if (random() % 8 == 0) {
    made.reserve(3 + random() % 3);
  }
  return made;
}

// A frame that tells by users.use_count() whether anybody has it.
frame told_of(const std::shared_ptr<int>& users) {
  static const std::string bytes(100, 'x');
  return parley::borrow(std::as_bytes(std::span{bytes}), [users] {});
}

}  // namespace

TEST_CASE("messages of every form come out of a pipe as they went in") {
  for (const std::size_t capacity : std::initializer_list<std::size_t>{1, 2, 4, 64}) {
    std::minstd_rand random{static_cast<unsigned>(capacity)};
    spsc_pipe<message> pipe{capacity};
    std::deque<message> expected;
    for (int step = 0; step < 20'000; ++step) {
      for (auto count = random() % (capacity + 1); count > 0; --count) {
        const message made = any_message(random);
        message given = made;
        const bool has_room = expected.size() < capacity;
        REQUIRE(pipe.try_push(std::move(given)) ==
                (has_room ? push_result::pushed : push_result::full));
        if (has_room) {
          CHECK(given.empty());
          expected.push_back(made);
        } else {
          CHECK(given == made);
        }
      }
      for (auto count = random() % (capacity + 1); count > 0 && !expected.empty(); --count) {
        const auto got = pipe.try_pop();
        REQUIRE(got);
        REQUIRE(*got == expected.front());
        expected.pop_front();
      }
    }
  }
}

TEST_CASE("messages that cross from thread to thread stay whole and in order") {
  constexpr unsigned count = 200'000;
  spsc_pipe<message> pipe{64};
  std::thread writer{[&] {
    std::minstd_rand random{1};
    for (unsigned each = 0; each < count; ++each) {
      pipe.push(any_message(random));
    }
    pipe.close();
  }};
  std::minstd_rand random{1};
  unsigned wrong = 0;
  unsigned got = 0;
  while (const auto each = pipe.pop()) {
    ++got;
    wrong += *each == any_message(random) ? 0 : 1;
  }
  writer.join();
  CHECK(got == count);
  CHECK(wrong == 0);
}

TEST_CASE("a taker may want messages, or nothing of them") {
  spsc_pipe<message> pipe{8};
  const auto users = std::make_shared<int>();
  for (int each = 0; each < 4; ++each) {
    REQUIRE(pipe.try_push(message{told_of(users)}) == push_result::pushed);
  }
  CHECK(users.use_count() == 5);
  CHECK(pipe.try_pop_n([](message&& got) { CHECK(got.bytes() == 100); }, 1) == 1);
  CHECK(users.use_count() == 4);
  CHECK(pipe.try_pop_n([](auto&&) {}, 1) == 1);
  CHECK(users.use_count() == 3);
  CHECK_THROWS_AS(pipe.try_pop_n([](auto&&) { throw std::runtime_error{"no"}; }),
                  std::runtime_error);
  CHECK(users.use_count() == 2);
  CHECK(pipe.try_pop()->bytes() == 100);
  CHECK(users.use_count() == 1);
  CHECK_FALSE(pipe.try_pop());
}

TEST_CASE("a message is taken once, and the next one stays where it is") {
  spsc_pipe<message> pipe{4};
  REQUIRE(pipe.try_push("first") == push_result::pushed);
  REQUIRE(pipe.try_push("second") == push_result::pushed);
  message one;
  message two{"before"};
  CHECK(pipe.try_pop_n(
            [&](auto&& got) {
              one = std::move(got);
              two = std::move(got);
            },
            1) == 1);
  CHECK(one == message{"first"});
  CHECK(two.empty());
  CHECK(pipe.try_pop() == message{"second"});
}

TEST_CASE("what is left in a pipe of messages goes with it") {
  const auto users = std::make_shared<int>();
  {
    spsc_pipe<message> pipe{8};
    message many;
    for (int each = 0; each < 5; ++each) {
      many.push_back(told_of(users));
    }
    REQUIRE(pipe.try_push(std::move(many)) == push_result::pushed);
    REQUIRE(pipe.try_push(message{told_of(users)}) == push_result::pushed);
    CHECK(users.use_count() == 7);
  }
  CHECK(users.use_count() == 1);
}
