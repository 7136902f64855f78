// SPDX-License-Identifier: MPL-2.0
//
// What a command comes to. Scripts rely on these numbers; docs/cli.md promises them.
#pragma once

enum class exit_code : int {
  done = 0,
  usage = 1,        // the command line, or a file it names, is wrong
  timed_out = 2,    // --timeout passed first
  unreachable = 3,  // cannot bind or connect
  peer_error = 4,   // the peer answered with an error
  no_server = 5,    // none was there to take the call
  server_lost = 6,  // it had the call, and went away
  overloaded = 7,   // the server refused the call
};

// The shells' convention for a program that a signal ended before its job was done.
[[nodiscard]] constexpr exit_code interrupted_by(int signal) noexcept {
  return static_cast<exit_code>(128 + signal);
}
