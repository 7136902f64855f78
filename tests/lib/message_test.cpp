// SPDX-License-Identifier: MPL-2.0
#include <parley/message.hpp>

#include <string>

#include "support/catch.hpp"

using namespace parley;

namespace {

message numbered(std::size_t frames) {
  message made;
  for (std::size_t index = 0; index < frames; ++index) {
    made.push_back(std::to_string(index) + std::string(index * 20, '.'));
  }
  return made;
}

}  // namespace

TEST_CASE("text is a message of one frame") {
  const auto frames_of = [](const message& sent) { return sent.size(); };
  CHECK(frames_of("text") == 1);
  CHECK(frames_of(std::string{"text"}) == 1);
  CHECK(frames_of(std::string_view{"text"}) == 1);
  CHECK(message("text").front() == "text");
}

TEST_CASE("a message keeps its frames in order, few or many") {
  for (std::size_t count = 0; count < 20; ++count) {
    const message made = numbered(count);
    REQUIRE(made.size() == count);
    for (std::size_t index = 0; index < count; ++index) {
      CHECK(made[index] == std::to_string(index) + std::string(index * 20, '.'));
    }
  }
}

TEST_CASE("copying and moving a message keep every frame") {
  for (std::size_t count = 0; count < 8; ++count) {
    message original = numbered(count);
    const message copied = original;
    CHECK(copied == original);
    const message moved = std::move(original);
    CHECK(moved == copied);
    CHECK(original.empty());  // NOLINT(bugprone-use-after-move): the promise under test
    original = moved;
    CHECK(original == copied);
    original = numbered(count + 3);
    CHECK(original.size() == count + 3);
  }
}

TEST_CASE("drop_front removes the first frames and keeps the others") {
  message made = numbered(5);
  made.drop_front(2);
  REQUIRE(made.size() == 3);
  CHECK(made.front().view().front() == '2');
  made.drop_front(3);
  CHECK(made.empty());
  made.push_back("again");
  CHECK(made.front() == "again");
}

TEST_CASE("bytes sums up the sizes of all frames") {
  CHECK(message{}.bytes() == 0);
  CHECK(message{frame{"four"}, frame{}, frame{std::string(100, 'x')}}.bytes() == 104);
}

TEST_CASE("messages are equal when their frames are") {
  CHECK(message{frame{"a"}, frame{"b"}} == message{frame{"a"}, frame{"b"}});
  CHECK_FALSE(message{frame{"a"}, frame{"b"}} == message{frame{"ab"}});
}
