// SPDX-License-Identifier: MPL-2.0
//
// Files between this peer and others: what to say, what to read and write, what to tell the
// program. No I/O: it is told what was heard, what came of its jobs, and the time.
//
//   sender    offer -> (accept) -> check the receiver's part -> begin, pieces, end -> (done)
//   receiver  (offer) -> accept, with the digest of its part -> (begin, pieces, end) -> done
//
// Memory: of a transfer that sends, what file_window allows and no more than its share of 64 MiB;
// of one that receives, the room it told. What nobody asked for is not kept.
// Each side asks again when it was told nothing for 5 s; who has forgotten a transfer says so.
#pragma once

#include <parley/frame.hpp>
#include <parley/peer_event.hpp>

#include "file_job.hpp"
#include "file_mark.hpp"
#include "file_window.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace parley::detail {

class file_desk {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t most_sent = 1000;
  static constexpr std::size_t most_received = 64;
  static constexpr std::size_t most_offers_of_peer = 16;
  static constexpr std::uint32_t room = std::uint32_t{8} << 20;

  struct person {
    peer_id peer;
    std::string name{};
    std::string identity{};
  };
  struct word {
    file_mark mark;
    frame content{};  // piece
  };

  explicit file_desk(std::uint64_t files_bytes) noexcept : files_bytes_{files_bytes} {}

  // What the program does. Its own file, to that peer; 0: there are too many.
  [[nodiscard]] std::uint64_t send(const person& to, const peer_file& file, time_point now);
  // As send, and it fails at once.
  [[nodiscard]] std::uint64_t send_to_nobody(const person& to, const peer_file& file,
                                             file_failure why);
  // What is offered under that number, and was not accepted.
  [[nodiscard]] const peer_file* offered(std::uint64_t number) const;
  // It may be accepted beside those that are under way.
  [[nodiscard]] bool has_room_for(const peer_file& offered) const noexcept;
  // Its part has so many bytes, which may be of another file. Requires: it is offered.
  void accept(std::uint64_t number, const std::filesystem::path& to, std::uint64_t part,
              time_point now);
  // False: there is none.
  bool cancel(std::uint64_t number);

  // What the peer says. The event of an offer is told by the return: put it before the program, or
  // refuse it as busy.
  [[nodiscard]] std::optional<peer_event> heard(const person& from, file_mark&& mark,
                                                frame&& content, time_point now);
  void refuse(std::uint64_t number);
  void gone(const peer_id& who);
  void done(file_result&& what, time_point now);
  // Returns when to call it again.
  [[nodiscard]] time_point tick(time_point now);

  // In order for each peer. Null: there is none. A word stays until it was said.
  [[nodiscard]] const word* next(const peer_id& to) const;
  void said(const peer_id& to, time_point now);
  [[nodiscard]] std::vector<peer_id> listeners() const;  // for whom there is one
  [[nodiscard]] std::vector<file_job> take_jobs() { return std::exchange(jobs_, {}); }
  // The ends of transfers, and progress.
  [[nodiscard]] std::vector<peer_event> take_events() { return std::exchange(events_, {}); }
  // How far it is now.
  void refresh(peer_event& progress) const;

 private:
  enum class stage : std::uint8_t {
    offered,
    checking,  // of theirs our part, to be told; of ours theirs, as it was told
    accepted,  // theirs: we told so
    moving,
    ending,  // ours: all is read; theirs: all has come
  };
  struct transfer {
    person with;
    peer_file file;
    std::uint64_t wire_number = 0;  // the sender's
    stage at = stage::offered;
    std::uint64_t reached = 0;   // ours: is to be read up to; theirs: has come up to
    std::uint64_t answered = 0;  // theirs: told by `have`
    std::uint32_t room = 0;      // told by `accept`
    bool is_alone = false;       // the peer is gone
    file_digest digest{};        // of the receiver's part
    file_window window{};        // ours
    time_point heard{};          // or asked
    time_point told{};           // the program
  };
  using transfers = std::map<std::uint64_t, transfer>;

  // Theirs, and nothing is needed of the peer any more: what the disk says decides.
  [[nodiscard]] static bool is_whole(const transfer& of) noexcept {
    return !of.file.is_ours && of.at == stage::ending;
  }

  [[nodiscard]] transfer* find(std::uint64_t number);
  [[nodiscard]] transfer* find_theirs(const peer_id& peer, std::uint64_t wire_number);
  [[nodiscard]] transfer* find_ours(const peer_id& peer, std::uint64_t number);
  void say(const transfer& of, file_mark&& mark, frame&& content = {});
  void answer(const peer_id& to, file_mark&& mark);
  void say_accept(const transfer& of);
  void say_have(const transfer& of);
  [[nodiscard]] std::optional<peer_event> hear_offer(const person& from, file_mark&& mark,
                                                     time_point now);
  void hear_sender(std::uint64_t number, transfer& of, const file_mark& mark, frame&& content);
  void hear_begin(std::uint64_t number, transfer& of, std::uint64_t offset);
  void hear_piece(std::uint64_t number, transfer& of, std::uint64_t offset, frame&& content);
  void hear_end(std::uint64_t number, transfer& of, const file_mark& mark);
  void hear_receiver(std::uint64_t number, transfer& of, const file_mark& mark, time_point now);
  void hear_accept(std::uint64_t number, transfer& of, const file_mark& mark);
  void hear_have(std::uint64_t number, transfer& of, std::uint64_t offset, time_point now);
  void begin(std::uint64_t number, transfer& of, std::uint64_t offset);
  void read_more(std::uint64_t number, transfer& of);
  void was_read(transfer& of, file_result&& what);
  void was_written(std::uint64_t number, transfer& of, std::uint64_t offset, time_point now);
  [[nodiscard]] static peer_event event_of(std::uint64_t number, const transfer& of,
                                           peer_event::kind what);
  void tell_progress(std::uint64_t number, transfer& of, time_point now);
  void finish(std::uint64_t number, transfer& of);
  void fail(std::uint64_t number, transfer& of, file_failure why, bool tells_peer);
  void forget(std::uint64_t number, const transfer& of);
  void drop_offer(const peer_id& from);
  void go(transfer& of, stage to);

  const std::uint64_t files_bytes_;
  std::uint64_t last_number_ = 0;
  transfers all_;
  std::map<std::pair<peer_id, std::uint64_t>, std::uint64_t> by_wire_;  // theirs
  std::map<peer_id, std::size_t> offers_;                               // theirs, of each peer
  std::map<peer_id, std::deque<word>> words_;
  std::size_t ours_ = 0;
  std::size_t sending_ = 0;           // of them, moving
  std::size_t received_ = 0;          // theirs, accepted
  std::uint64_t received_bytes_ = 0;  // of those
  time_point due_ = time_point::max();
  std::vector<file_job> jobs_;
  std::vector<peer_event> events_;
};

}  // namespace parley::detail
