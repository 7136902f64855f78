// SPDX-License-Identifier: MPL-2.0
#include "id_table.hpp"

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include "support/catch.hpp"

using parley::detail::id_table;

namespace {

using value = std::shared_ptr<std::uint64_t>;

value made(std::uint64_t number) { return std::make_shared<std::uint64_t>(number); }

}  // namespace

TEST_CASE("an empty table finds nothing") {
  id_table<value> table{1};
  CHECK(table.find(0) == nullptr);
  CHECK(table.size() == 0);
}

TEST_CASE("a table finds what was inserted and not erased, whatever came between") {
  std::mt19937_64 random{20261122};
  id_table<value> table{random()};
  std::unordered_map<std::uint64_t, value> model;
  for (int step = 0; step < 200'000; ++step) {
    // Ids from few on, so that many are found, and those of a client: random but for the low bits.
    const std::uint64_t id = step % 2 == 0 ? random() % 300 : random() << 20 | random() % 64;
    auto* const found = table.find(id);
    const auto known = model.find(id);
    REQUIRE((found != nullptr) == (known != model.end()));
    if (found != nullptr) {
      REQUIRE(found->id == id);
      REQUIRE(found->value == known->second);
      table.erase(found);
      model.erase(known);
    } else if (model.size() < 1000) {
      const value each = made(id);
      table.insert(id, each);
      model.emplace(id, each);
    } else {
      const auto oldest = model.begin();
      table.erase(table.find(oldest->first));
      model.erase(oldest);
    }
    REQUIRE(table.size() == model.size());
  }
  std::size_t seen = 0;
  table.for_each([&](const value& each) {
    CHECK(model.at(*each) == each);
    ++seen;
  });
  CHECK(seen == model.size());
}

TEST_CASE("a table keeps nothing that was erased") {
  id_table<value> table{7};
  const value kept = made(1);
  for (std::uint64_t id = 0; id < 100; ++id) {
    table.insert(id, kept);
  }
  for (std::uint64_t id = 0; id < 100; ++id) {
    table.erase(table.find(id));
  }
  CHECK(kept.use_count() == 1);
  table.insert(5, kept);
  CHECK(table.take_any() == kept);
  CHECK(kept.use_count() == 1);
  CHECK(table.find(5) == nullptr);
}

TEST_CASE("all values can be taken, one by one, while others go") {
  id_table<value> table{7};
  std::set<std::uint64_t> left;
  for (std::uint64_t id = 0; id < 1000; ++id) {
    table.insert(id * id, made(id * id));
    left.insert(id * id);
  }
  while (const value taken = table.take_any()) {
    CHECK(left.erase(*taken) == 1);
    if (left.size() % 3 == 0 && !left.empty()) {
      table.erase(table.find(*left.begin()));
      left.erase(left.begin());
    }
  }
  CHECK(left.empty());
  CHECK(table.size() == 0);
}
