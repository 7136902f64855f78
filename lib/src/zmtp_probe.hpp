// SPDX-License-Identifier: MPL-2.0
//
// Asks the socket that is bound at an endpoint whether it unpacks batches: it begins a connection,
// reads what the other side says of itself, and goes no further, so it never becomes a peer that
// messages are for.
//
// No I/O, one thread: takes the bytes that came and says which to send. One object a connection.
// Source: ZMTP 3.1, RFC 37.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace parley::detail {

class zmtp_probe {
 public:
  enum class answer {
    pending,  // more bytes, please
    unpacks,
    plain,  // it does not, or does not speak with us
  };

  // What is sent first.
  [[nodiscard]] static std::string greeting();

  // What came. Requires: the answer is pending.
  answer receive(std::string_view bytes);

 private:
  [[nodiscard]] answer read();
  [[nodiscard]] static answer read_command(std::string_view body);

  std::string unread_;
  bool is_greeted_ = false;
};

}  // namespace parley::detail
