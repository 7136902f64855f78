// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/name_board.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

using words = std::vector<std::string>;

struct board {
  board()
      : lookout{shared->look_out([this](const auto& name, const auto& where, bool is) {
          announced.push_back((is ? "+" : "-") + name + ' ' + where.str());
        })} {}

  [[nodiscard]] name_board::entry follow(const std::string& name) {
    return shared->follow(name, [this](const endpoint& where, bool is) {
      followed.push_back((is ? "+" : "-") + where.str());
    });
  }

  words announced;
  words followed;
  std::shared_ptr<name_board> shared = std::make_shared<name_board>();
  name_board::entry lookout;
};

}  // namespace

TEST_CASE("who follows a name hears of those that are there, come and go") {
  board names;
  names.shared->found("adder", "tcp://10.0.0.1:1");
  auto follower = names.follow("adder");
  names.shared->found("adder", "tcp://10.0.0.2:1");
  names.shared->found("clock", "tcp://10.0.0.3:1");
  names.shared->lost("adder", "tcp://10.0.0.1:1");
  CHECK(names.followed == words{"+tcp://10.0.0.1:1", "+tcp://10.0.0.2:1", "-tcp://10.0.0.1:1"});
  CHECK(names.shared->all("adder") == std::vector<endpoint>{"tcp://10.0.0.2:1"});
  follower = {};
  names.shared->lost("adder", "tcp://10.0.0.2:1");
  CHECK(names.followed.size() == 3);
}

TEST_CASE("what was found twice is there until it was lost twice") {
  board names;
  const auto follower = names.follow("adder");
  names.shared->found("adder", "tcp://10.0.0.1:1");
  names.shared->found("adder", "tcp://10.0.0.1:1");
  names.shared->lost("adder", "tcp://10.0.0.1:1");
  CHECK(names.followed.size() == 1);
  names.shared->lost("adder", "tcp://10.0.0.1:1");
  names.shared->lost("adder", "tcp://10.0.0.1:1");
  CHECK(names.followed == words{"+tcp://10.0.0.1:1", "-tcp://10.0.0.1:1"});
}

TEST_CASE("what is announced is told to who looks, and found here") {
  board names;
  const auto follower = names.follow("adder");
  {
    const auto offer = names.shared->announce("adder", "tcp://0.0.0.0:5555");
    words late;
    const auto lookout = names.shared->look_out(
        [&](const auto& name, const auto& where, bool) { late.push_back(name + where.str()); });
    CHECK(late == words{"addertcp://0.0.0.0:5555"});
  }
  CHECK(names.announced == words{"+adder tcp://0.0.0.0:5555", "-adder tcp://0.0.0.0:5555"});
  CHECK(names.followed == words{"+tcp://127.0.0.1:5555", "-tcp://127.0.0.1:5555"});
}

TEST_CASE("nobody follows a name where nobody looks") {
  board names;
  names.lookout = {};
  CHECK_THROWS_AS(names.follow("adder"), config_error);
}

TEST_CASE("who is told may use the board") {
  board names;
  name_board::entry inner;
  const auto outer = names.shared->follow("adder", [&](const endpoint&, bool is) {
    if (is) {
      inner = names.follow("adder");
    } else {
      inner = {};
    }
  });
  names.shared->found("adder", "tcp://10.0.0.1:1");
  names.shared->lost("adder", "tcp://10.0.0.1:1");
  CHECK(names.followed == words{"+tcp://10.0.0.1:1"});
}
