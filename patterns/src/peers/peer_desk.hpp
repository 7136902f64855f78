// SPDX-License-Identifier: MPL-2.0
//
// Who the peers of a node are, and what it has to say to them: ZRE without I/O. It is told what was
// heard and what the time is, and says in steps what to do, in events what to tell the program.
//
// A peer is found by a beacon, or by its greeting. All its addresses are tried at once with a bare
// connection; the first that answers gets the link, and our HELLO. One that takes it and does not
// greet us is the wrong one. A peer is here when its HELLO came. Both sides number what they say to
// each other; if a number is missing the link begins anew.
// Life is any message, and any beacon from where the peer is: only who is silent is asked.
// In a secured network a peer is its id and its key: its greeting, by a connection that proved the
// key, makes them one, and nothing with another key is that peer's.
//
// Source: RFC 36, and what zyre and pyre do (docs/peers.md).
#pragma once

#include <parley/neighbour.hpp>
#include <parley/peer_event.hpp>
#include <parley/peers.hpp>

#include "beacon.hpp"
#include "peer_crowd.hpp"
#include "peer_place.hpp"
#include "peer_places.hpp"
#include "sender_rates.hpp"
#include "zre_wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley::detail {

// One peer's link; none is used twice.
using peer_link = std::uint32_t;

// Peers of Parley say so in their HELLO: they understand GOODBYE, and letters.
inline constexpr std::string_view parley_header = "X-PARLEY";
// And this, if they have one that is not their id.
inline constexpr std::string_view identity_header = "X-PARLEY-IDENTITY";
// zyre's: without it, it does not answer a secured peer.
inline constexpr std::string_view key_header = "X-PUBLICKEY";

struct peer_step {
  enum class kind : std::uint8_t {
    probe,  // see whether anybody answers there
    open,   // the link leads there from now on; what was sent on it before is forgotten
    send,
    close,  // what was sent may still leave
    drop,   // what was sent is forgotten
  };
  kind what;
  peer_link link;
  peer_place where{};
  message said{};
  std::optional<curve_key> key{};  // open: of who has to be there
};

class peer_desk {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;
  static constexpr time_point never = time_point::max();

  // Whether a peer with that key may be dialled.
  using list = std::function<bool(const curve_key&)>;

  // The port is that of our own mailbox.
  peer_desk(
      const peer_id& own, std::string name, std::uint16_t port, const peers_options& options,
      list holds = [](const curve_key&) { return true; });

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  void heard_beacon(const beacon& heard, const std::string& host, time_point now);
  // From a third one, which says nothing of whether it lives.
  void heard_of(const peer_id& who, const peer_place& where, time_point now,
                const std::optional<curve_key>& key = {});
  // From the mailbox: from which address, and by a connection of which key.
  void heard(const peer_id& from, const std::string& host, message&& said, time_point now,
             const std::optional<curve_key>& key = {});
  void heard_nonsense() noexcept { ++statistics_.nonsense; }
  // own_host: which of our addresses it answered.
  void probed(peer_link link, const peer_place& place, probe_answer how,
              const std::string& own_host, time_point now);
  // The link takes nothing, or could not be made.
  void stuck(peer_link link);
  // Its connection to our mailbox has ended.
  void hung_up(const peer_id& who, time_point now);
  // Of a letter. False: not so soon.
  [[nodiscard]] bool takes_letter(const peer_id& from, std::size_t bytes, time_point now) {
    return rates_.takes_letter(from, bytes, now);
  }
  // Returns when to call it again.
  [[nodiscard]] time_point tick(time_point now);

  void join(std::string_view group);
  void leave(std::string_view group);
  // Requires: it is here.
  void whisper(const peer_id& to, const message& content);
  void shout(const peer_id& to, std::string_view group, const message& content);
  // Everybody leaves; those who understand it are told.
  void close();

  // Whose link it is, here or not.
  [[nodiscard]] std::optional<peer_id> owner_of(peer_link link) const;
  // The link of a peer that is here; 0: it is not.
  [[nodiscard]] peer_link link_of(const peer_id& who) const;
  // The link leads somewhere; if not, what is said is kept, so far this many messages and bytes.
  [[nodiscard]] bool is_open(peer_link link) const;
  [[nodiscard]] std::size_t kept(peer_link link) const;
  [[nodiscard]] std::size_t kept_bytes(peer_link link) const;
  [[nodiscard]] std::vector<peer_id> here(std::string_view group = {}) const;
  [[nodiscard]] std::size_t count_here(std::string_view group = {}) const;
  [[nodiscard]] std::optional<peer_status> status(const peer_id& who) const;
  // Where it is, as far as is known; empty: it is not here.
  [[nodiscard]] std::string host_of(const peer_id& who) const;
  // Where others may reach it.
  [[nodiscard]] std::vector<peer_place> places_of(const peer_id& who) const;
  [[nodiscard]] const peers_statistics& statistics() const noexcept { return statistics_; }

  [[nodiscard]] std::vector<peer_step> take_steps() { return std::exchange(steps_, {}); }
  [[nodiscard]] std::vector<peer_event> take_events() { return std::exchange(events_, {}); }

 private:
  // Which number follows 65,534 in what it says, and takes.
  enum class numbering : std::uint8_t { unknown, with_last, without_last };
  struct unsaid {
    zre_message head;
    message content;
  };
  struct peer {
    peer_id id;
    peer_link link = 0;
    std::string host{};  // where it was heard first
    std::optional<curve_key> key{};
    std::string name{};
    std::map<std::string, std::string> headers{};
    std::set<std::string, std::less<>> groups{};
    std::uint8_t status = 0;
    bool is_here = false;
    bool is_open = false;
    bool is_parley = false;
    bool is_proven = false;  // it has greeted us: the id is this key's
    numbering counting = numbering::unknown;
    bool is_held = false;  // it is asked whether it takes number 65,535; what is said waits
    peer_places places{};
    std::uint16_t last_said = 0;
    std::uint16_t last_heard = 0;
    std::deque<unsaid> kept{};  // before the link is open; HELLO goes first
    std::size_t kept_bytes = 0;
    std::size_t pings = 0;      // without an answer yet
    bool has_answered = false;  // on this link
    time_point since{};         // that it has been dialled, or greeted
    time_point dialled{};
    time_point heard{};
    time_point spoke{};     // a message of it came
    time_point answered{};  // or heard from where its link leads
    time_point asked{};
    time_point answers_until = never;  // or it is greeted anew
    bool is_evasive = false;
    bool has_hung_up = false;      // and was not heard since
    time_point leaves_at = never;  // it said so
    time_point due = never;        // when it is looked at
  };

  [[nodiscard]] peer* find(const peer_id& who);
  [[nodiscard]] const peer* find(const peer_id& who) const;
  [[nodiscard]] peer* find(peer_link link);
  [[nodiscard]] peer* take_in(const peer_id& who, const std::string& host,
                              const std::optional<curve_key>& key, bool is_proven, time_point now);
  // By a beacon, or a third one. Null: it is not taken in, or the id is another's.
  [[nodiscard]] peer* find_or_take_in(const peer_id& who, const std::string& host,
                                      const std::optional<curve_key>& key, time_point now);
  void dial(peer& to, time_point now);
  void open(peer& to, const peer_place& at, time_point now);
  // Its link begins anew, with our HELLO.
  void begin_anew(peer& to, time_point now);
  void shut(peer& to);
  [[nodiscard]] static std::deque<unsaid> take_kept(peer& of);
  void hear_answer(peer& from, time_point now);
  void hear_hello(const peer_id& from, const std::string& host, const std::optional<curve_key>& key,
                  zre_message&& hello, time_point now);
  void hear_impostor(peer& of, time_point now);
  void hear_groups(peer& from, const zre_message& changed, time_point now);
  void hear_content(peer& from, const zre_message& head, message&& said, time_point now);
  // False: it says too much, and was told so.
  [[nodiscard]] bool is_heard(peer& from, std::size_t bytes, time_point now);
  [[nodiscard]] bool is_next(peer& from, std::uint16_t sequence) const;
  void say(peer& to, zre_message head, const message& content = {});
  void send(peer& to, zre_message head, const message& content = {});
  void ping(peer& who);
  [[nodiscard]] static std::string identity_of(const peer& of);
  [[nodiscard]] static std::optional<peer_place> where_is(const peer& who);
  [[nodiscard]] static std::string address_of(const peer& of);
  void tell(const peer& of, peer_event::kind what, std::string_view group = {});
  void tell_exit(peer& of, peer_exit reason);
  void lose(peer& which, peer_exit reason);
  void set_here(peer& which, bool is_here);
  // It is looked at in the next tick; whatever makes something due earlier calls this.
  void look_soon(peer& at) { look_again(at, time_point::min()); }
  void look_again(peer& at, time_point when);
  [[nodiscard]] time_point look_at(peer& at, time_point now);
  [[nodiscard]] time_point look_at_life(peer& at, time_point now);
  [[nodiscard]] time_point look_at_silence(peer& at, time_point now);

  const peer_id own_;
  const std::string name_;
  const std::uint16_t port_;
  const bool is_secured_;
  const list holds_;
  const std::map<std::string, std::string> headers_;
  const duration evasive_;
  const duration expired_;
  const duration sure_;                    // that we reach it, for so long
  const std::chrono::milliseconds quiet_;  // who is muted has to be for so long
  sender_rates rates_;
  peer_crowd crowd_;
  std::set<std::string, std::less<>> groups_;
  std::uint8_t status_ = 0;

  std::unordered_map<peer_id, peer> peers_;
  std::unordered_map<peer_link, peer_id> by_link_;
  std::set<std::pair<time_point, peer_id>> due_;
  peer_link last_link_ = 0;
  std::vector<peer_step> steps_;
  std::vector<peer_event> events_;
  peers_statistics statistics_{};
};

}  // namespace parley::detail
