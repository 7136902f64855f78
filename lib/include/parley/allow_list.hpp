// SPDX-License-Identifier: MPL-2.0
//
// Decides which CURVE clients may connect to the servers of a context: those whose public keys are
// on the list. One for each context. It must be there before the clients come, and outlive the
// sockets that it guards: without it libzmq lets in everybody who knows the server's key.
//
// Threads: any thread may call anything. A thread of the list's own answers libzmq.
// A client that is refused sees its connection fail (monitor: handshake_failed); allowed() and
// refused() count. Sockets without CURVE take everybody, and are not counted.
// Source: ZAP, RFC 27.
#pragma once

#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/home_process.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace parley {

class allow_list {
 public:
  allow_list(context& owner, const std::vector<curve_key>& keys);
  // A directory of public certificates, or a file with a Z85 key at the start of each line (the
  // rest of the line, and lines that begin with #, are for people). Looked at again for each
  // client, so changes take effect at once; while it cannot be read, nobody new is let in. Throws
  // config_error when it cannot be read now.
  allow_list(context& owner, const std::filesystem::path& source);
  ~allow_list();
  allow_list(allow_list&&) noexcept;
  allow_list& operator=(allow_list&&) noexcept;

  // Connections asked for, so far.
  [[nodiscard]] std::uint64_t allowed() const noexcept;
  [[nodiscard]] std::uint64_t refused() const noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
