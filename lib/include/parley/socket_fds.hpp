// SPDX-License-Identifier: MPL-2.0
//
// The descriptors behind socket::fd(), for the patterns: to wait on them directly saves the kernel
// a turn through fd()'s own set, on the way of every message.
//
// The rules are those of fd(), but that the list changes when the socket is bound or connected.
#pragma once

#include <vector>

namespace parley {
class socket;
}

namespace parley::detail {

struct socket_fds {
  // Throws error, closed.
  [[nodiscard]] static std::vector<int> of(socket& watched);
};

}  // namespace parley::detail
