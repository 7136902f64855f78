// SPDX-License-Identifier: MPL-2.0
//
// What the fuzzers of logic share: the input's bytes decide what happens, and the end comes when
// something does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

[[maybe_unused]] void require(bool holds) {
  if (!holds) std::abort();
}

// What the fuzzer decides.
class choices {
 public:
  choices(const std::uint8_t* data, std::size_t size)
      : left_{reinterpret_cast<const char*>(data), size} {}
  [[nodiscard]] bool has_more() const { return !left_.empty(); }
  std::uint8_t octet() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::string_view bytes() {
    const std::size_t size = octet();
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view left_;
};

}  // namespace
