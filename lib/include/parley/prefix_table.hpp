// SPDX-License-Identifier: MPL-2.0
//
// Prefixes of topics, each with a value.
//
// A hash table, and the lengths that prefixes have: a topic is looked up once for each length, and
// those are few however many prefixes there are. Nothing in it is recursive, so no prefix is too
// long for the stack. No I/O, one thread. For Parley's own sockets and patterns.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace parley::detail {

template<class Value>
class prefix_table {
 public:
  // Null: there is none. Valid until it is erased.
  [[nodiscard]] Value* find(std::string_view prefix) noexcept {
    const auto at = values_.find(prefix);
    return at == values_.end() ? nullptr : &at->second;
  }
  // What is there, or a new one.
  Value& at(std::string_view prefix) {
    const auto [at, is_new] = values_.try_emplace(std::string{prefix});
    if (is_new) {
      ++lengths_[prefix.size()];
    }
    return at->second;
  }
  void erase(std::string_view prefix) {
    if (const auto at = values_.find(prefix); at != values_.end()) {
      erase(at);
    }
  }
  // Those of which which(prefix, value) says so; it may change the value of others.
  template<class Which>
  void erase_if(Which&& which) {
    for (auto at = values_.begin(); at != values_.end();) {
      at = which(std::string_view{at->first}, at->second) ? erase(at) : std::next(at);
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

  // visit(value) for each prefix that topic begins with, from so many octets on, the shortest
  // first.
  template<class Visit>
  void match(std::string_view topic, Visit&& visit, std::size_t shortest = 0) const {
    for (auto each = lengths_.lower_bound(shortest); each != lengths_.end(); ++each) {
      const std::size_t length = each->first;
      if (length > topic.size()) {
        return;
      }
      if (const auto at = values_.find(topic.substr(0, length)); at != values_.end()) {
        visit(at->second);
      }
    }
  }

  // In no order.
  [[nodiscard]] auto begin() const noexcept { return values_.begin(); }
  [[nodiscard]] auto end() const noexcept { return values_.end(); }

 private:
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  using table = std::unordered_map<std::string, Value, hash, std::equal_to<>>;

  typename table::iterator erase(typename table::iterator at) {
    const auto length = lengths_.find(at->first.size());
    if (--length->second == 0) {
      lengths_.erase(length);
    }
    return values_.erase(at);
  }

  table values_;
  std::map<std::size_t, std::size_t> lengths_;  // of prefixes, with how many have it
};

}  // namespace parley::detail
