// SPDX-License-Identifier: MPL-2.0
//
// What a person in a chat is told. Values; all text as it was sent, to be made visible by who shows
// it.
#pragma once

#include <parley/peer_event.hpp>
#include <parley/peer_id.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct chat_event {
  enum class kind : std::uint8_t {
    started,       // others: the rooms that we are in
    enter,         // address
    exit,          // reason
    join,          // room; is_own: others are in it
    leave,         // room
    line,          // room, text
    private_line,  // text
    said,          // by us: room, text; count: to so many
    told,          // by us to that person alone: text
    read,          // text that we told them
    delivered,     // text that was kept for them
    away,          // text: the note
    back,
    evasive,
    returned,
    muted,     // we do not hear them
    unmuted,   // count: what we did not hear
    muted_by,  // they do not hear us
    lost,      // count
    person,    // address, others: rooms, away
    room,      // room, count; is_own: we are in it
    past,      // was: line, private_line, said or told
    offering,  // by us: number, file; the same for these five
    offered,   // to us
    progress,
    received,
    sent,
    file_failed,
    mistake,  // text, to who typed it; the same for these two
    notice,
    help,
  };
  kind what = kind::notice;
  parley::peer_id peer{};
  std::string name{};
  std::string label{};    // visible
  bool is_own = false;    // it is about ourselves
  bool is_near = false;   // about somebody in one of our rooms, or with whom we talked alone
  bool is_early = false;  // they were here before us, most likely
  std::string room{};
  std::string text{};
  std::string address{};
  std::vector<std::string> others{};
  std::optional<std::string> away{};
  std::uint64_t count = 0;
  parley::peer_exit reason = parley::peer_exit::left;
  kind was = kind::line;
  std::int64_t at = 0;       // past: microseconds since 1970
  bool is_kept = false;      // told: they are not here, and get it when they come
  std::int64_t written = 0;  // private_line that was kept: seconds since 1970
  std::uint64_t number = 0;
  parley::peer_file file{};
};
