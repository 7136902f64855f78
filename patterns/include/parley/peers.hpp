// SPDX-License-Identifier: MPL-2.0
//
// Programs on one network that find each other, without addresses and without a server: who is
// here, groups, messages to one peer and to a group. Speaks ZRE, so zyre and pyre programs are
// peers too.
//
// Threads: any, at once; a thread of its own keeps the peers. Destructor: says goodbye, and waits
// up to peers_options::linger until what was said has left, and for what it just asked of a disk.
// Order: what one peer says arrives in the order in which it was said. Nothing is said twice.
// Source: ZRE, RFC 36, as zyre speaks it. docs/peers.md says which programs were tried.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/neighbour.hpp>
#include <parley/peer_event.hpp>
#include <parley/peer_id.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace parley {

// ZRE's port, registered with IANA for UDP.
inline constexpr std::uint16_t zre_port = 5670;

// A peer that tells others who is there: where it is, and in a secured network its public key.
struct peer_seed {
  peer_seed(const endpoint& at) : where{at} {}
  peer_seed(const char* at) : where{at} {}
  peer_seed(const std::string& at) : where{at} {}
  peer_seed(const endpoint& at, const curve_key& its_key) : where{at}, key{its_key} {}

  endpoint where;
  std::optional<curve_key> key{};
};

// What one peer may say to us: so many messages, and so many bytes, at once, and as much again
// within that time. 0: as much as it likes.
struct peer_rate {
  std::size_t messages = 0;  // whispers, shouts, joins, leaves, and files offered
  std::size_t bytes = 0;     // of what it whispers and shouts; a larger message is too much, too
  std::chrono::milliseconds within{1000};
};

struct peers_options {
  std::string name{};                            // empty: the first six digits of its id
  std::map<std::string, std::string> headers{};  // what others may know of it

  // Who it is to those who write letters to it, the same each time that it starts: a name that
  // nobody else has, for example an address of e-mail. At most 200 octets; empty: its id, which is
  // another one each time.
  std::string identity{};
  // The file in which letters outlive the program: those not delivered, and which ones came; empty:
  // they do not. SQLite's; one program's at a time.
  std::filesystem::path journal{};
  // Letters kept for each receiver: so many, and bytes.
  std::size_t letters = 1000;
  std::size_t letters_bytes = std::size_t{16} << 20;
  // Files that are being received may have so many bytes in all; what is offered beyond is
  // declined.
  std::uint64_t files_bytes = std::uint64_t{1} << 40;

  // Where it makes itself known and listens for others: on all interfaces, or on those with one of
  // these names or addresses. Programs on another port are another network. 0: does not make itself
  // known.
  std::uint16_t port = zre_port;
  std::vector<std::string> interfaces{};
  std::chrono::milliseconds interval{1000};

  // Where beacons do not reach (a VPN, containers, a cloud): peers that are seeds, at known
  // addresses. Names among them are looked up once, by the constructor.
  std::vector<peer_seed> seeds{};
  // Is a seed for others, here; none: it is not. Speaks czmq's zgossip, as zyre does.
  std::optional<endpoint> gossip{};

  // A secured network: everything that is said is encrypted, and who says it has proved his key.
  // Its own keys; it takes those of its peers from what makes them known. Who is taken for a peer,
  // an allow_list of the context decides; without one, everybody who has keys. Others with keys
  // and others without are two networks.
  curve_security curve{};

  // A peer that is not heard for so long is asked; one that is silent for half as long again is
  // evasive; and one that is silent for `expired` is gone.
  std::chrono::milliseconds evasive{5000};
  std::chrono::milliseconds expired{30'000};

  // Peers known at a time; others are not greeted.
  std::size_t most_peers = 1000;
  // Messages received and not taken by the program, and messages for one peer that it did not take:
  // so many, and bytes. What is received beyond is thrown away, and told by an event.
  std::size_t limit = 10'000;
  std::size_t limit_bytes = std::size_t{64} << 20;
  // A peer that says more than this is muted: what it whispers and shouts is thrown away until it
  // was quiet for rate.within. Events tell of it once, and of its end; a peer of Parley is told,
  // too. Letters mute nobody: they come no faster than that, and none is thrown away.
  peer_rate rate{};
  // How long whisper and shout wait for a peer that takes nothing.
  std::chrono::milliseconds max_wait{1000};
  // A peer that sends a larger frame is cut off.
  std::size_t max_frame_bytes = std::size_t{64} << 20;
  std::chrono::milliseconds linger{1000};
};

// A peer that is here.
struct peer_status {
  peer_id id;
  std::string name;
  std::string address;  // the one that answered; until one has, where it says it is
  std::string identity;
  std::vector<std::string> groups;
  std::map<std::string, std::string> headers;
  bool is_evasive = false;
  std::optional<curve_key> key{};  // in a secured network, its public key
};

// What an interface's beacons came to.
struct interface_status {
  std::string name;
  std::string address;
  std::string sent_to;            // broadcast or multicast address; empty: it has none
  std::uint64_t sent = 0;         // beacons
  std::uint64_t heard = 0;        // of others
  std::uint64_t refused = 0;      // could not be sent
  std::error_code why_refused{};  // the system's last word
};

struct peers_statistics {
  std::uint64_t entered = 0;
  std::uint64_t exited = 0;
  std::uint64_t sent = 0;      // whispers, and shouts times their receivers
  std::uint64_t received = 0;  // whispers and shouts, taken by the program or waiting for it
  std::uint64_t lost = 0;      // and those thrown away, as the program did not receive
  std::uint64_t muted = 0;     // or as their sender said too much
  // Beacons and messages that are none, or of another version; messages of who was not greeted.
  // Of another version is also what has keys where we have none, and the reverse.
  std::uint64_t nonsense = 0;
  std::uint64_t other_version = 0;
  // Beacons and connections with keys that are not on the list, or in the name of another peer.
  std::uint64_t not_allowed = 0;
  // Beacons of who could not be taken in: too many peers, or too many that do not answer.
  std::uint64_t not_greeted = 0;
};

class peers {
 public:
  using duration = std::chrono::steady_clock::duration;

  // Begins at once. Throws config_error, and error: cannot_bind when the port of beacons is taken
  // by a program that does not share it.
  explicit peers(context& owner, const peers_options& options = {});
  peers(peers&&) noexcept;
  peers& operator=(peers&&) noexcept;
  ~peers();

  [[nodiscard]] peer_id id() const noexcept;
  [[nodiscard]] const std::string& name() const noexcept;

  // Groups are there as soon as somebody joins; a name has 1 to 255 octets.
  void join(std::string_view group);
  void leave(std::string_view group);

  // Text and frames go out as they are, every other type as MessagePack. False: that peer is not
  // here, or took nothing for max_wait. Throws closed.
  template<class T>
  [[nodiscard]] bool whisper(const peer_id& to, const T& body) {
    return whisper_message(to, to_body(body));
  }
  [[nodiscard]] bool whisper_message(const peer_id& to, message content);
  // To all others in that group; returns to how many. Who took nothing for max_wait is left out.
  template<class T>
  std::size_t shout(std::string_view group, const T& body) {
    return shout_message(group, to_body(body));
  }
  std::size_t shout_message(std::string_view group, message content);

  // To whoever has that identity, now or when he comes: kept until his program received it, in
  // order, and once unless he or we lost the journal, or have none. Returns its number, 1, 2, ...
  // for him; the events `delivered` and `read` come back to it. Only peers of Parley take letters.
  // With a journal, it is on the disk. Throws overloaded: as many wait for him as may; disk_full...
  template<class T>
  std::uint64_t send_letter(const std::string& identity, const T& body) {
    return send_letter_message(identity, to_body(body));
  }
  std::uint64_t send_letter_message(const std::string& identity, message content);
  // Tells the sender; kept as a letter is.
  void mark_read(const peer_event& letter);
  // Letters that he has not taken yet.
  [[nodiscard]] std::size_t letters_waiting(const std::string& identity) const;

  // Offers it to him; all that becomes of it is told by events with the number that is returned:
  // file_progress, and file_done or file_failed in the end. It has to stay as it is. Of what broke
  // off and is offered again only what is missing is sent. Throws cannot_read; overloaded: 1,000
  // are offered or under way.
  std::uint64_t send_file(const peer_id& to, const std::filesystem::path& file);
  // What file_offered told goes there; into a directory under its own name. Until it is whole and
  // its checksum holds it is `<to>.parley-part`, which stays if it breaks off. False: it is not
  // offered any more. Throws cannot_write: it exists, or its directory does not; file_in_use:
  // somebody writes that .parley-part, and still does after a second; disk_full; overloaded: 64 are
  // under way, or files_bytes together.
  [[nodiscard]] bool accept_file(std::uint64_t number, const std::filesystem::path& to,
                                 existing_file existing = existing_file::keep);
  // Declines it, or ends it, whoever sends; our event is file_failed, as theirs. False: it has
  // ended.
  bool cancel_file(std::uint64_t number);

  // Throws closed, also when something has not been received yet.
  [[nodiscard]] peer_event receive();
  [[nodiscard]] std::optional<peer_event> receive_for(duration limit);
  [[nodiscard]] std::optional<peer_event> try_receive();
  // Hands each event to the function, until the token says stop. Throws closed, and what the
  // function throws.
  void run(const std::function<void(const peer_event&)>& each, std::stop_token stop = {});
  // For an event loop: readable when try_receive may give something where it gave nothing. Call
  // try_receive until it gives nothing before you wait for it. Never read from it.
  [[nodiscard]] int fd() const noexcept;

  // Who is here, in that group.
  [[nodiscard]] std::vector<peer_status> here() const;
  [[nodiscard]] std::vector<peer_status> here(std::string_view group) const;
  [[nodiscard]] std::optional<peer_status> find(const peer_id& who) const;
  // Waits until so many are here, in that group if one is named; false: not within limit.
  [[nodiscard]] bool wait_for_peers(std::size_t count, duration limit,
                                    std::string_view group = {}) const;

  // While it lives, patterns of the same context know names: a server that binds to "service:adder"
  // gets a port and is announced, a client that connects to "service:adder" follows all who are.
  // Announces what was bound otherwise, by whomever; until it is withdrawn, or this is closed.
  // Throws config_error: name is no service, or where nothing that others could connect to.
  void announce(const endpoint& name, const endpoint& where);
  void withdraw(const endpoint& name, const endpoint& where);
  // Who offers it now, this process included.
  [[nodiscard]] std::vector<endpoint> services(const endpoint& name) const;

  // Where it is a seed for others; none: it is not.
  [[nodiscard]] std::optional<endpoint> gossip() const;
  [[nodiscard]] std::vector<interface_status> interfaces() const;
  // Who was heard or tried within the last five minutes, whether it is here or not; our own
  // beacons, too. Of more than 1,000, the latest. For diagnose(), see network_diagnosis.hpp.
  [[nodiscard]] std::vector<neighbour> neighbours() const;
  [[nodiscard]] peers_statistics statistics() const;

  // Says goodbye. Ends all waits with parley::closed. The destructor does it too.
  void close() noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
