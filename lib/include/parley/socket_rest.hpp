// SPDX-License-Identifier: MPL-2.0
//
// How the patterns sleep until a socket has news, without holding it meanwhile.
//
// socket::fd() does the same for everybody, at a price: a set of descriptors within the set that
// the caller waits for, and over pipe:// a bell that is armed by every look that finds nothing.
// Here who is about to sleep says so, and looks cost nothing until then.
#pragma once

#include <parley/socket.hpp>

#include <vector>

namespace parley::detail {

struct socket_rest {
  // What to sleep on. Changes when the socket is bound, connected or watched. Throws error, closed.
  [[nodiscard]] static std::vector<int> fds(socket& of);
  // From now on, until end, the descriptors tell of what changes. Sleep only if the answer is not
  // what you wait for. Looking at the socket meanwhile is as with socket::fd().
  [[nodiscard]] static socket_readiness begin(socket& of);
  static void end(socket& of);
};

}  // namespace parley::detail
