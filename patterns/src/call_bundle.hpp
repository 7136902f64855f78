// SPDX-License-Identifier: MPL-2.0
//
// Many messages with a header in one frame: what our clients and servers send each other when
// several calls, or replies, go over one connection at a time. One frame for a hundred of them
// costs little more than one for each. docs/wire.md has the grammar, under "Bundles". Does no I/O.
#pragma once

#include <parley/frame.hpp>

#include "call_header.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace parley::detail {

class bundle_writer {
 public:
  // In bytes, of a bundle.
  static constexpr std::size_t most = 8 * 1024;

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  // False: no room; nothing is changed. Requires: the payload has at most most_carried bytes.
  [[nodiscard]] bool add(const call_header& header);
  [[nodiscard]] bool add(call_header header, const frame& payload);

  // One message goes as it is, more as a bundle. Requires: !empty().
  [[nodiscard]] frame packed() const;
  void clear() noexcept { used_ = count_ = 0; }

 private:
  [[nodiscard]] bool write(const call_header& header, std::string_view payload);

  std::unique_ptr<char[]> bytes_;  // most of them; null: nothing was written ever
  std::size_t used_ = 0;
  std::size_t count_ = 0;
};

// The bytes are a peer's: all sizes are checked before the first message comes out, so that a
// malformed bundle gives none. The messages are views of the frame, and may be anything.
class bundle_reader {
 public:
  // Nothing: malformed. Requires: is_bundle(bytes).
  [[nodiscard]] static std::optional<bundle_reader> open(const frame& bytes) noexcept;

  [[nodiscard]] bool has_more() const noexcept { return !left_.empty(); }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  // For parse_header. Requires: has_more().
  [[nodiscard]] std::string_view next() noexcept;

 private:
  std::string_view left_;
  std::size_t count_ = 0;
};

// A frame that says it is one.
[[nodiscard]] bool is_bundle(const frame& bytes) noexcept;

}  // namespace parley::detail
