// SPDX-License-Identifier: MPL-2.0
#include <parley/peer_event.hpp>

namespace parley {

std::string_view to_string(peer_exit reason) noexcept {
  switch (reason) {
    case peer_exit::left:
      return "left";
    case peer_exit::timed_out:
      return "timed out";
    case peer_exit::link_lost:
      return "link lost";
    case peer_exit::restarted:
      return "restarted";
    case peer_exit::out_of_step:
      return "out of step";
    case peer_exit::unreachable:
      return "unreachable";
    case peer_exit::closed:
      return "closed";
  }
  return "unknown";
}

std::string_view to_string(peer_event::kind what) noexcept {
  using kind = peer_event::kind;
  switch (what) {
    case kind::enter:
      return "enter";
    case kind::exit:
      return "exit";
    case kind::join:
      return "join";
    case kind::leave:
      return "leave";
    case kind::evasive:
      return "evasive";
    case kind::returned:
      return "returned";
    case kind::whisper:
      return "whisper";
    case kind::shout:
      return "shout";
    case kind::lost:
      return "lost";
    case kind::letter:
      return "letter";
    case kind::delivered:
      return "delivered";
    case kind::read:
      return "read";
    case kind::muted:
      return "muted";
    case kind::unmuted:
      return "unmuted";
    case kind::muted_by:
      return "muted by";
    case kind::file_offered:
      return "file offered";
    case kind::file_progress:
      return "file progress";
    case kind::file_done:
      return "file done";
    case kind::file_failed:
      return "file failed";
  }
  return "unknown";
}

}  // namespace parley
