// SPDX-License-Identifier: MPL-2.0
//
// What a file may be called that comes from the network. No I/O; takes any bytes.
#pragma once

#include <string>
#include <string_view>

namespace parley::detail {

// Of a name on the wire, and here: room for ".parley-part" and a number is left in the 255 of a
// directory.
inline constexpr std::size_t longest_file_name = 200;

// A name in some directory, never a way into another: see peer_file::name.
[[nodiscard]] std::string harmless_file_name(std::string_view said);

}  // namespace parley::detail
