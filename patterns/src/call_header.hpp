// SPDX-License-Identifier: MPL-2.0
//
// What our clients and servers tell each other about a call, beside its request and reply. One
// frame; docs/wire.md has its grammar. Does no I/O.
//
// It travels as the last address frame of the envelope (RFC 28), in front of the delimiter: REP and
// ROUTER sockets send it back as it is, and plain REQ sockets leave it out. A header that is a
// message by itself, without delimiter or payload, is a control: REP sockets drop such messages
// unseen. Between a client and a server of ours that know each other, a small payload travels in
// the header's frame, behind it: one frame instead of three.
#pragma once

#include <parley/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace parley::detail {

struct call_header {
  enum class kind : std::uint8_t {
    // From clients.
    request = 0x01,
    cancel = 0x02,  // the caller waits no longer
    credit = 0x03,  // the caller takes `amount` more results
    ask = 0x04,     // is the call still open? If not: unknown
    ping = 0x05,
    // From servers.
    reply = 0x11,    // the last, or only one
    item = 0x12,     // one of several results
    refused = 0x13,  // not executed: overloaded; ask again in `amount` milliseconds
    unknown = 0x14,
    pong = 0x15,  // `time` is the server's clock, id that of the ping
  };

  // Request: what a server must not, or may, do.
  static constexpr std::uint8_t idempotent = 0x01;     // may come again: answer from memory then
  static constexpr std::uint8_t streamed = 0x02;       // items are welcome, `amount` to begin with
  static constexpr std::uint8_t absolute_time = 0x04;  // `time` is by the server's clock
  static constexpr std::uint8_t carries = 0x08;        // the payload follows in the same frame
  // Refused: not overloaded, but begun before, and asked to stop. Its result is not known.
  static constexpr std::uint8_t cut_short = 0x01;
  // Any message: who sends it takes bundles (call_bundle.hpp).
  static constexpr std::uint8_t bundles = 0x10;
  // The client does not know yet whether the server is one of ours, and asks for a pong at once.
  static constexpr std::uint8_t greets = 0x20;
  static constexpr std::size_t most_carried = 1024;  // bytes
  static constexpr std::uint32_t any_amount = 0xffff'ffff;

  kind what = kind::request;
  std::uint8_t flags = 0;
  std::uint64_t id = 0;  // of the call, or of the ping
  // Microseconds. Request: the deadline, by the server's clock or from now on. Pong: the clock.
  std::uint64_t time = 0;
  std::uint32_t amount = 0;
  // From servers: who speaks, and over which connection; changes with either. 0: cannot be told.
  std::uint64_t link = 0;
  std::uint32_t load = 0;  // from servers: calls accepted and not yet answered

  friend bool operator==(const call_header&, const call_header&) = default;
};

[[nodiscard]] frame pack_header(const call_header& header);
// With a payload of at most most_carried bytes.
[[nodiscard]] frame pack_header(call_header header, const frame& payload);
inline constexpr std::size_t header_size = 5 + 2 + 8 + 8 + 4 + 8 + 4;
void write_header(char* at, const call_header& header) noexcept;

// Nothing: it is not one, or of a version that we do not know.
[[nodiscard]] std::optional<call_header> parse_header(std::string_view bytes) noexcept;

// What the header in front of those bytes carries.
[[nodiscard]] inline frame carried_by(std::string_view bytes) {
  return frame{bytes.substr(header_size)};
}

}  // namespace parley::detail
