// SPDX-License-Identifier: MPL-2.0
//
// Files on their way between the program, the thread that reads and writes them, and the peers who
// are here: what a file_desk wants done. Not thread-safe but for `close`.
#pragma once

#include <parley/peer_event.hpp>

#include "event_queue.hpp"
#include "file_desk.hpp"
#include "file_porter.hpp"
#include "identity_table.hpp"
#include "peer_desk.hpp"
#include "peer_lines.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <set>

namespace parley::detail {

class file_carrier {
 public:
  using time_point = file_desk::time_point;

  // Whom the porter's thread tells what it did locks, and calls `done`. All others have to outlive
  // it.
  file_carrier(std::uint64_t files_bytes, const peer_desk& desk, peer_lines& lines,
               const identity_table& identities, event_queue& events, file_porter::report told)
      : desk_{desk},
        lines_{lines},
        identities_{identities},
        events_{events},
        files_{files_bytes},
        porter_{std::move(told)} {}

  // By the program. Throw overloaded.
  std::uint64_t send(const peer_id& to, sent_file&& opened, time_point now);
  // Null: it is not offered, or no more.
  [[nodiscard]] const peer_file* offered(std::uint64_t number) const;
  // Requires: it is offered.
  void accept(std::uint64_t number, const std::filesystem::path& to, received_file&& opened,
              time_point now);
  bool cancel(std::uint64_t number) { return files_.cancel(number); }
  // The program took it out of the events, and there is room for what was held back.
  void handed_out(peer_event& event);

  void gone(const peer_id& who);
  // A whisper. True: it was about one.
  [[nodiscard]] bool hear(peer_event& came, time_point now);
  void done(file_result&& what, time_point now) { files_.done(std::move(what), now); }
  // Returns when to call it again, if nobody is deaf.
  [[nodiscard]] time_point tick(time_point now) { return files_.tick(now); }
  // Has all done that was said to be. True: the program was told something.
  bool serve(time_point now);
  // Something is left for who takes nothing just now: when to serve again.
  [[nodiscard]] time_point due(time_point now) const;

  // Requires: nothing is locked that who is told locks.
  void close() noexcept { porter_.close(); }

 private:
  void say(const peer_id& to, time_point now);
  [[nodiscard]] bool tell_all();
  void tell(peer_event&& event);

  const peer_desk& desk_;
  peer_lines& lines_;
  const identity_table& identities_;
  event_queue& events_;
  file_desk files_;
  bool is_late_ = false;                   // somebody takes nothing of what is to be said
  std::set<std::uint64_t> progress_told_;  // of them, not received by the program yet
  std::deque<peer_event> ends_;            // for which there is no room
  file_porter porter_;
};

}  // namespace parley::detail
