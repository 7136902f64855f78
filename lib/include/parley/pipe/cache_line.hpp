// SPDX-License-Identifier: MPL-2.0
#pragma once

#include <cstddef>

namespace parley::detail {

// Written by different threads means this far apart. 64 on x86-64 and on most Arm.
inline constexpr std::size_t cache_line = 64;

}  // namespace parley::detail
