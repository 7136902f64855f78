// SPDX-License-Identifier: MPL-2.0
//
// Two who examine one network at the same time tell each other what they heard of each other, and
// try the way there and back: first what they say, then messages that need many packets. No I/O.
#pragma once

#include <parley/network_diagnosis.hpp>
#include <parley/peer_event.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <msgpack.hpp>

// Of a peer that examines, in its HELLO.
inline constexpr const char* doctor_header = "X-PARLEY-DOCTOR";
inline constexpr const char* doctor_version = "1";

// What they say to each other.
struct doctor_word {
  struct sighting {
    std::string interface;
    std::string by;
    std::string host;
    std::uint64_t count = 0;
    MSGPACK_DEFINE_MAP(interface, by, host, count)
  };
  std::string what;  // ping, pong, report, got, done
  std::uint64_t number = 0;
  std::string padding{};  // of a ping, and of its pong
  bool hears_itself = true;
  std::vector<sighting> heard{};
  MSGPACK_DEFINE_MAP(what, number, padding, hears_itself, heard)
};

class doctor_talk {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  void hear(const parley::peer_event& event, time_point now);
  // Whom we heard; asked when somebody is to be told, for there may be many.
  using neighbours = std::function<std::vector<parley::neighbour>()>;
  // Returns when to call it again. own: our id.
  time_point tick(time_point now, const parley::peer_id& own, const neighbours& all);

  struct step {
    parley::peer_id to;
    doctor_word said;
  };
  [[nodiscard]] std::vector<step> take_steps() { return std::exchange(steps_, {}); }

  // Nobody has anything more to say to us.
  [[nodiscard]] bool is_over() const;
  // Those with whom it came to its end.
  [[nodiscard]] std::size_t count_done() const;
  [[nodiscard]] std::vector<parley::second_opinion> opinions() const;

 private:
  struct partner {
    parley::second_opinion opinion;
    time_point since{};
    time_point pinged{};
    time_point last_said{};  // that is not about large messages
    std::uint64_t pings = 0;
    bool has_reported = false;
    bool has_heard_report = false;  // "got"
    bool is_told = false;           // our report is out
    bool is_done = false;           // it said so
    bool is_over = false;           // done, gone, or too late
  };
  void hear(partner& from, const doctor_word& said, time_point now);
  void ping(partner& to, std::size_t padding, time_point now);
  void look_at(partner& at, time_point now, const parley::peer_id& own, const neighbours& all);

  std::map<parley::peer_id, partner> partners_;
  std::vector<step> steps_;
};
