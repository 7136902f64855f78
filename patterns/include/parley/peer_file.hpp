// SPDX-License-Identifier: MPL-2.0
//
// A file on its way between two peers, as their programs hear of it; see peers.hpp. Values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace parley {

// Why a file did not arrive. Both sides are told the same, but for peer_gone.
enum class file_failure : std::uint8_t {
  none = 0,      // it did, or is on its way
  declined,      // the receiver does not want it
  cancelled,     // by one of the two, when it was under way
  peer_gone,     // of a sender: the last piece may have arrived even so
  unsupported,   // the receiver's program takes no files
  too_large,     // for the receiver: see peers_options::files_bytes
  busy,          // the receiver has too many offers already
  changed,       // the file, while it was sent
  checksum,      // what arrived is not what was sent
  disk_full,     // the receiver's
  exists,        // there is a file of that name by now, at the receiver's
  cannot_read,   // the sender's file
  cannot_write,  // the receiver's file
  nonsense,      // one of the two does not keep to the protocol
};

[[nodiscard]] std::string_view to_string(file_failure why) noexcept;

struct peer_file {
  // Of the sender's file, without its directory. One from the network is harmless: no separators,
  // no control characters, no dot in front, UTF-8, never empty.
  std::string name{};
  std::uint64_t size = 0;        // bytes
  std::uint64_t from = 0;        // so many were there from an earlier time, and not sent again
  std::uint64_t done = 0;        // so many the receiver has on its disk, those included
  std::filesystem::path path{};  // ours: where it is; theirs: where it goes, once accepted
  bool is_ours = false;          // we send it
  file_failure why = file_failure::none;
};

// What to do when there is a file already where one is to go.
enum class existing_file : std::uint8_t { keep, replace };

}  // namespace parley
