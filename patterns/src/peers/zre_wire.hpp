// SPDX-License-Identifier: MPL-2.0
//
// The first frame of what ZRE nodes say to each other over TCP; content follows in frames of its
// own. No I/O; the reader takes any bytes. Source: RFC 36; version 2, which zyre and pyre speak.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace parley::detail {

// Of a group, a name of a peer or a header, an endpoint.
inline constexpr std::size_t longest_zre_text = 255;
// Octets of a first frame that are looked at: a HELLO with all that it may list, which is kept.
inline constexpr std::size_t longest_zre_head = std::size_t{1} << 18;

struct zre_message {
  enum class kind : std::uint8_t {
    hello = 1,
    whisper,
    shout,
    join,
    leave,
    ping,
    ping_ok,
    elect,  // a leader of a group, as zyre does in drafts; heard, and never said
    leader,
    goodbye,
  };
  kind what = kind::ping;
  std::uint16_t sequence = 0;
  std::string endpoint{};             // hello: the sender's mailbox
  std::vector<std::string> groups{};  // hello
  std::uint8_t status = 0;            // hello, join, leave: the sender's count of joins and leaves
  std::string name{};                 // hello
  std::map<std::string, std::string> headers{};  // hello
  std::string group{};                           // shout, join, leave, elect, leader

  [[nodiscard]] bool has_content() const noexcept {
    return what == kind::whisper || what == kind::shout;
  }
};

enum class zre_reading : std::uint8_t { good, nonsense, other_version };

[[nodiscard]] zre_reading read_zre(std::string_view frame, zre_message& into);

// Requires: texts are no longer than longest_zre_text.
[[nodiscard]] std::string write_zre(const zre_message& written);

}  // namespace parley::detail
