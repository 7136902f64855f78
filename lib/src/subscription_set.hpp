// SPDX-License-Identifier: MPL-2.0
//
// The prefixes that one sub or xsub socket wants, each with how often it asked for it. No I/O.
#pragma once

#include <parley/socket.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace parley::detail {

[[nodiscard]] constexpr bool subscribes(socket_kind kind) noexcept {
  return kind == socket_kind::sub || kind == socket_kind::xsub;
}

class subscription_set {
 public:
  // True: the prefix was not there before.
  bool add(std::string_view prefix);
  // True: the prefix was there, and is not any more.
  bool remove(std::string_view prefix);
  [[nodiscard]] bool matches(std::string_view topic) const;
  // Prefixes, each once.
  [[nodiscard]] std::size_t size() const noexcept { return counts_.size(); }
  // visit(prefix, how often it was added)
  template<class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [prefix, count] : counts_) {
      visit(prefix, count);
    }
  }

 private:
  std::map<std::string, std::size_t, std::less<>> counts_;
};

}  // namespace parley::detail
