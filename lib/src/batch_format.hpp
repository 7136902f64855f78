// SPDX-License-Identifier: MPL-2.0
//
// The words of a batch: many messages in one frame, as docs/wire.md writes them down.
//
// A batch begins with its sender's label, which the sender also announces when a connection is
// made (batch_label). A frame that merely looks like a batch, from whoever, is none without that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace parley::detail {

// A frame that does not begin with it is no batch. One load and one comparison tell.
inline constexpr std::string_view batch_magic{"\xffParley\1", 8};

// Of a batch, in bytes. What is larger is malformed: unpacking takes some seventy times as much
// memory as the smallest messages take in the batch.
inline constexpr std::size_t largest_batch = 1024 * 1024;

// Words of ZMTP's metadata (RFC 23): what a socket says of itself when a connection is made.
inline constexpr char unpacks_property[] = "X-Parley-Unpacks";
inline constexpr char unpacks_version[] = "1";
inline constexpr char label_property[] = "X-Parley-Batches";  // 16 octets, made up by the sender

// Sixteen hexadecimal digits that nobody can guess or meet by chance.
using batch_label = std::array<char, 16>;
[[nodiscard]] batch_label fresh_batch_label();

inline constexpr std::size_t batch_head = batch_magic.size() + sizeof(batch_label);

[[nodiscard]] inline bool looks_like_batch(const void* bytes, std::size_t size) noexcept {
  return size > batch_head && std::memcmp(bytes, batch_magic.data(), batch_magic.size()) == 0;
}

// packed-frame: one octet with the flag and a short size, or the escape and the size in four.
inline constexpr unsigned more_follow = 0x80;
inline constexpr unsigned long_size = 0x7f;
inline constexpr std::size_t short_frame_head = 1;
inline constexpr std::size_t long_frame_head = 5;

struct packed_frame {
  const std::byte* body;
  std::size_t size;
  bool has_more;
};

// Requires: the head is whole.
[[nodiscard]] inline packed_frame read_packed(const std::byte* at) noexcept {
  const auto first = std::to_integer<unsigned>(*at);
  const bool more = (first & more_follow) != 0;
  const std::size_t size = first & long_size;
  if (size < long_size) [[likely]] {
    return {at + short_frame_head, size, more};
  }
  std::size_t whole = 0;
  for (std::size_t index = 1; index < long_frame_head; ++index) {
    whole = whole << 8 | std::to_integer<std::size_t>(at[index]);
  }
  return {at + long_frame_head, whole, more};
}

}  // namespace parley::detail
