// SPDX-License-Identifier: MPL-2.0
//
// What a program hears of its peers; see peers.hpp. Values.
#pragma once

#include <parley/codec.hpp>
#include <parley/curve.hpp>
#include <parley/message.hpp>
#include <parley/peer_file.hpp>
#include <parley/peer_id.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

// Why a peer is not here any more.
enum class peer_exit : std::uint8_t {
  left,         // it said so
  timed_out,    // it was silent for peers_options::expired
  link_lost,    // its connection broke, and its address takes no new one: most often it was killed
  restarted,    // it begins anew, and enters again
  out_of_step,  // messages of it are missing, and ZRE cannot tell which; it is greeted anew
  unreachable,  // it reaches us, and none of its addresses answers us
  closed,       // we left
};

[[nodiscard]] std::string_view to_string(peer_exit reason) noexcept;

struct peer_event {
  enum class kind : std::uint8_t {
    enter,
    exit,       // reason
    join,       // group
    leave,      // group
    evasive,    // it is silent, and does not answer
    returned,   // it was evasive, and is heard again
    whisper,    // content, to us alone
    shout,      // content, to a group that we are in
    lost,       // count messages of it were thrown away: the program did not receive for long
    letter,     // content, to us, kept until we took it: number is the sender's for it
    delivered,  // our letters to identity up to number have been taken
    read,       // our letter number was read by identity
    muted,      // it says more than peers_options::rate, and is not heard until it was quiet
    unmuted,    // it was, and is heard again: count messages of it were not
    muted_by,   // the same of us: it does not hear us until we were quiet for count milliseconds
    // Transfer number, ours or the peer's: file says of what.
    file_offered,   // to us: see accept_file
    file_progress,  // some times a second
    file_done,      // it is there, whole, under its name
    file_failed,    // file.why; what is there of it stays for the next time
  };
  kind what = kind::enter;
  peer_id peer{};
  std::string name{};
  std::string identity{};          // enter, letter, delivered, read, file_...: see peers_options
  std::string address{};           // enter: where it is, as an endpoint
  std::optional<curve_key> key{};  // enter: in a secured network, its public key
  std::string group{};
  peer_exit reason = peer_exit::left;
  std::uint64_t count = 0;
  std::uint64_t number = 0;                      // letter, delivered, read, file_...
  std::uint64_t session = 0;                     // letter: the sender's, whose number it is
  std::map<std::string, std::string> headers{};  // enter
  message content{};                             // a frame at least
  peer_file file{};                              // file_...

  // The first frame of what was said. Throws protocol_error when it is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(content.front());
  }
};

[[nodiscard]] std::string_view to_string(peer_event::kind what) noexcept;

}  // namespace parley
