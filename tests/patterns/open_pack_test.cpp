// SPDX-License-Identifier: MPL-2.0
#include "open_pack.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace parley::detail;

namespace {

constexpr std::size_t head = wire::body_head;

task_pack_ref make_pack() { return task_pack_ref{new task_pack{0}}; }

std::vector<std::string> bodies_of(const task_pack& pack) {
  std::vector<std::string> all;
  std::string_view left = pack.bytes.view();
  std::string_view body;
  while (next_body(left, body)) {
    all.emplace_back(body);
  }
  CHECK(left.empty());
  return all;
}

}  // namespace

TEST_CASE("nothing goes into a pack that is not open") {
  open_pack open;
  CHECK_FALSE(open.is_open());
  CHECK(open.count() == 0);
  CHECK(open.try_add("body") == 0);
  CHECK(open.try_add_short("body") == 0);
}

TEST_CASE("an open pack takes as many tasks as it was opened for") {
  open_pack open;
  const task_pack_ref pack = make_pack();
  open.open(*pack.operator->(), 3, 1000, 7, "first");
  CHECK(open.count() == 1);
  CHECK(open.next() == 8);
  CHECK(open.try_add("second") == 8);
  CHECK(open.try_add_short("third") == 9);
  CHECK(open.try_add("fourth") == 0);
  CHECK(open.count() == 3);
  CHECK(&open.close() == pack.operator->());
  CHECK_FALSE(open.is_open());
  CHECK(open.try_add("fifth") == 0);
  CHECK(bodies_of(*pack.operator->()) == std::vector<std::string>{"first", "second", "third"});
  const task_bodies all{task_pack_ref{pack}};
  CHECK(all.count() == 3);
  CHECK(all.view(1) == "second");
  CHECK(all.size() == 16);
}

TEST_CASE("an open pack takes as many octets as it was opened for") {
  open_pack open;
  const task_pack_ref pack = make_pack();
  open.open(*pack.operator->(), 64, 3 * head + 12, 1, "1234");
  CHECK(open.try_add("123456") == 2);
  CHECK(open.try_add("123") == 0);
  CHECK(open.try_add("12") == 3);
  CHECK(open.try_add("") == 0);
  open.close();
  CHECK(bodies_of(*pack.operator->()) == std::vector<std::string>{"1234", "123456", "12"});
}

TEST_CASE("bodies of every short length are packed as they are") {
  open_pack open;
  for (std::size_t size = 0; size <= open_pack::longest_short; ++size) {
    std::string body;
    for (std::size_t index = 0; index < size; ++index) {
      body += static_cast<char>('0' + index);
    }
    const task_pack_ref pack = make_pack();
    open.open(*pack.operator->(), 3, 3 * head + 2 + size, 1, "<");
    CHECK(open.try_add_short(body) == 2);
    CHECK(open.try_add_short(">") == 3);
    open.close();
    CHECK(bodies_of(*pack.operator->()) == std::vector<std::string>{"<", body, ">"});
  }
}

TEST_CASE("threads that push while packs are opened and closed have a place each") {
  constexpr int threads = 3;
  constexpr int each_pushes = 20'000;
  open_pack open;
  std::mutex mutex;
  std::vector<task_pack_ref> packs;
  std::uint64_t next = 1;
  const auto close = [&] {
    if (open.is_open()) {
      next += open.close().count;
    }
  };
  std::vector<std::vector<std::uint64_t>> numbers(threads);
  std::atomic<int> pushing{threads};
  std::vector<std::thread> all;
  for (int which = 0; which < threads; ++which) {
    all.emplace_back([&, which] {
      for (int count = 0; count < each_pushes; ++count) {
        const std::string body = std::to_string(which) + ":" + std::to_string(count);
        std::uint64_t number = open.try_add_short(body);
        if (number == 0) {
          const std::lock_guard lock{mutex};
          close();
          number = next;
          packs.push_back(make_pack());
          open.open(*packs.back().operator->(), 1 + static_cast<std::size_t>(count) % most_in_run,
                    500, number, body);
        }
        numbers[static_cast<std::size_t>(which)].push_back(number);
      }
      --pushing;
    });
  }
  while (pushing > 0) {
    const std::lock_guard lock{mutex};
    close();
  }
  for (std::thread& each : all) {
    each.join();
  }
  close();
  std::vector<std::string> in_order{""};
  for (const task_pack_ref& each : packs) {
    for (std::string& body : bodies_of(*each.operator->())) {
      in_order.push_back(std::move(body));
    }
  }
  REQUIRE(in_order.size() == threads * each_pushes + 1);
  std::size_t wrong = 0;
  for (std::size_t which = 0; which < threads; ++which) {
    for (std::size_t count = 0; count < each_pushes; ++count) {
      wrong +=
          in_order.at(numbers[which][count]) != std::to_string(which) + ":" + std::to_string(count);
    }
  }
  CHECK(wrong == 0);
}
