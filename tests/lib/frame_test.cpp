// SPDX-License-Identifier: MPL-2.0
#include <parley/frame.hpp>
#include <parley/zmq_frame.hpp>

#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace parley;

namespace {

const std::string small(frame::inline_capacity, 's');
const std::string large(frame::inline_capacity + 1, 'l');
const std::string beyond_copying(10'000, 'b');

// A body that tells when it is destroyed.
struct counted_body : frame::body {
  explicit counted_body(int& destroyed_count)
      : body{[](body* self) noexcept {
          ++static_cast<counted_body*>(self)->destroyed;
          delete static_cast<counted_body*>(self);
        }},
        destroyed{destroyed_count} {}
  int& destroyed;
  std::string bytes = beyond_copying;
};

}  // namespace

TEST_CASE("a frame that is assigned bytes holds these alone") {
  for (const std::size_t before : {0, 10, 100}) {
    frame one{std::string(before, 'a')};
    for (const std::size_t after : {100, 64, 0, 65}) {
      const std::string bytes(after, 'b');
      one.assign(bytes.data(), bytes.size());
      CHECK(one == bytes);
    }
  }
}

TEST_CASE("a frame is inline up to its capacity and shared beyond") {
  CHECK(frame{}.empty());
  CHECK(frame{small}.is_inline());
  CHECK_FALSE(frame{large}.is_inline());
  CHECK(frame{small} == small);
  CHECK(frame{large} == large);
}

TEST_CASE("a frame keeps bytes of every length, NUL included") {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    for (std::size_t index = 0; index < size; ++index) {
      bytes[index] = static_cast<char>(index);
    }
    frame original{bytes};
    const frame copied = original;
    const frame moved = std::move(original);
    CHECK(copied == bytes);
    CHECK(moved == bytes);
  }
}

TEST_CASE("copies of a large frame share its bytes") {
  const frame original{large};
  const frame copied = original;
  CHECK(copied.data() == original.data());
}

TEST_CASE("a frame that was moved from is empty") {
  frame original{large};
  const frame taken = std::move(original);
  CHECK(original.empty());  // NOLINT(bugprone-use-after-move): the promise under test
  CHECK(taken == large);
}

TEST_CASE("assignment replaces bytes of any length, also by themselves") {
  frame target{large};
  target = frame{small};
  CHECK(target == small);
  target = frame{large};
  const frame& alias = target;
  target = alias;
  CHECK(target == large);
}

TEST_CASE("an adopted body is destroyed once, with its last share") {
  int destroyed = 0;
  {
    auto* owner = new counted_body{destroyed};
    const frame first = frame::adopt(owner, owner->bytes.data(), owner->bytes.size());
    {
      const frame second = first;
      CHECK(second == beyond_copying);
    }
    CHECK(destroyed == 0);
  }
  CHECK(destroyed == 1);
}

TEST_CASE("shares of one body may be dropped by many threads at once") {
  int destroyed = 0;
  {
    auto* owner = new counted_body{destroyed};
    const frame shared = frame::adopt(owner, owner->bytes.data(), owner->bytes.size());
    std::vector<std::thread> threads;
    for (int count = 0; count < 4; ++count) {
      threads.emplace_back([copy = shared] {
        for (int round = 0; round < 1000; ++round) {
          const frame another = copy;
          if (another.size() != beyond_copying.size()) {
            std::abort();
          }
        }
      });
    }
    for (std::thread& each : threads) {
      each.join();
    }
  }
  CHECK(destroyed == 1);
}

TEST_CASE("a large frame becomes a zmq message without a copy") {
  const frame original{beyond_copying};
  const zmq::message_t converted = to_zmq(original);
  CHECK(converted.data() == static_cast<const void*>(original.data()));
  CHECK(converted.to_string_view() == beyond_copying);
}

TEST_CASE("a large zmq message becomes a frame without a copy") {
  zmq::message_t original{large};
  const void* bytes = original.data();
  const frame converted = from_zmq(std::move(original));
  CHECK(static_cast<const void*>(converted.data()) == bytes);
  CHECK(converted == large);
}

TEST_CASE("the zmq message keeps the body alive after the frame is gone") {
  int destroyed = 0;
  {
    zmq::message_t converted;
    {
      auto* owner = new counted_body{destroyed};
      converted = to_zmq(frame::adopt(owner, owner->bytes.data(), owner->bytes.size()));
    }
    CHECK(destroyed == 0);
    CHECK(converted.to_string_view() == beyond_copying);
  }
  CHECK(destroyed == 1);
}

TEST_CASE("a small frame makes the way to zmq and back by copy") {
  CHECK(from_zmq(to_zmq(frame{small})) == small);
  CHECK(from_zmq(to_zmq(frame{})).empty());
}
