// SPDX-License-Identifier: MPL-2.0
#include "doctor/doctor_talk.hpp"

#include <deque>
#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using kind = peer_event::kind;

namespace {

peer_id id_of(std::uint8_t octet) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes.fill(octet);
  return peer_id{bytes};
}

struct doctor {
  explicit doctor(std::uint8_t octet) : id{id_of(octet)} {}

  void meet(const doctor& other, doctor_talk::time_point now) {
    talk.hear({.what = kind::enter,
               .peer = other.id,
               .name = "other",
               .address = "tcp://10.1.0.2:5000",
               .headers = {{doctor_header, doctor_version}}},
              now);
  }
  void hear(const doctor& from, const doctor_word& said, doctor_talk::time_point now) {
    talk.hear({.what = kind::whisper, .peer = from.id, .content = message{encode(said)}}, now);
  }
  [[nodiscard]] second_opinion opinion() const {
    REQUIRE(talk.opinions().size() == 1);
    return talk.opinions().front();
  }

  peer_id id;
  doctor_talk talk{};
  std::vector<neighbour> neighbours{};
  int asked = 0;  // for them
};

// Two who are told what the other says, a millisecond later.
struct room {
  doctor ada{0xAD};
  doctor bob{0xB0};
  doctor_talk::time_point now{std::chrono::hours{1}};
  std::size_t largest = 1 << 20;  // that comes through
  bool bob_is_deaf = false;

  void meet() {
    ada.meet(bob, now);
    if (!bob_is_deaf) {
      bob.meet(ada, now);
    }
  }
  void pass(std::chrono::milliseconds time) {
    for (const auto end = now + time; now < end; now += 1ms) {
      for (auto* const each : {&ada, &bob}) {
        static_cast<void>(each->talk.tick(now, each->id, [&] {
          ++each->asked;
          return each->neighbours;
        }));
      }
      carry(ada, bob);
      carry(bob, ada);
    }
  }
  void carry(doctor& from, doctor& to) {
    for (const auto& each : from.talk.take_steps()) {
      if (each.said.padding.size() <= largest && !(bob_is_deaf && &to == &bob)) {
        to.hear(from, each.said, now + 1ms);
      }
    }
  }
};

}  // namespace

TEST_CASE("two doctors tell each other what they heard, and try the way both ways") {
  room both;
  both.bob.neighbours = {
      {.id = both.ada.id,
       .version = 1,
       .sightings = {{"eth1", beacon_carrier::ipv4_multicast, "10.1.0.1", 4000, 7}}},
      {.id = both.bob.id,
       .version = 1,
       .sightings = {{"eth1", beacon_carrier::broadcast, "10.1.0.2", 5000, 7}}}};
  both.meet();
  both.pass(1s);
  CHECK_FALSE(both.ada.talk.is_over());
  CHECK(both.ada.talk.opinions().empty());
  both.pass(3s);
  CHECK(both.ada.talk.is_over());
  CHECK(both.bob.talk.count_done() == 1);
  CHECK(both.ada.asked == 1);  // there may be many
  const auto opinion = both.ada.opinion();
  CHECK(opinion.host == "10.1.0.2");
  CHECK(opinion.hears_itself);
  REQUIRE(opinion.heard.size() == 1);
  CHECK(opinion.heard[0].by == beacon_carrier::ipv4_multicast);
  CHECK(opinion.heard[0].count == 7);
  CHECK(opinion.round_trip.value() <= 2ms);
  CHECK(opinion.takes_large == true);
  CHECK_FALSE(both.bob.opinion().hears_itself);
}

TEST_CASE("messages that need many packets come last, and are missed") {
  room both;
  both.largest = 1000;
  both.meet();
  both.pass(10s);
  for (const auto* const each : {&both.ada, &both.bob}) {
    CHECK(each->talk.is_over());
    CHECK(each->opinion().round_trip.has_value());
    CHECK(each->opinion().takes_large == false);
  }
}

TEST_CASE("one whom we do not reach has an end, too") {
  room both;
  both.bob_is_deaf = true;
  both.meet();
  both.pass(9s);
  CHECK(both.ada.talk.is_over());
  CHECK_FALSE(both.ada.opinion().round_trip.has_value());
}

TEST_CASE("one who comes again and again has an end") {
  room both;
  both.bob_is_deaf = true;
  for (int count = 0; count < 9; ++count) {
    both.meet();
    both.pass(1s);
  }
  CHECK(both.ada.talk.is_over());
}

TEST_CASE("who is no doctor is not talked to") {
  doctor ada{0xAD};
  ada.talk.hear({.what = kind::enter, .peer = id_of(2), .name = "zyre"}, {});
  CHECK(ada.talk.is_over());
  CHECK(ada.talk.take_steps().empty());
  ada.hear(doctor{2}, {.what = "ping", .number = 1}, {});
  CHECK(ada.talk.take_steps().empty());
}

TEST_CASE("who leaves is not waited for") {
  room both;
  both.meet();
  both.ada.talk.hear({.what = kind::exit, .peer = both.bob.id, .reason = peer_exit::left},
                     both.now);
  CHECK(both.ada.talk.is_over());
}

TEST_CASE("a doctor's nonsense costs nothing") {
  room both;
  both.meet();
  both.ada.talk.hear({.what = kind::whisper, .peer = both.bob.id, .content = message{"nonsense"}},
                     both.now);
  doctor_word many{.what = "report"};
  many.heard.resize(10'000);
  both.ada.hear(both.bob, many, both.now);
  static_cast<void>(both.ada.talk.take_steps());
  both.ada.hear(both.bob, {.what = "ping", .padding = std::string(1 << 20, 'x')}, both.now);
  CHECK(both.ada.talk.take_steps().empty());
  both.ada.hear(both.bob, {.what = "pong", .number = 99}, both.now);
  CHECK(both.ada.opinion().heard.size() <= 64);
  CHECK_FALSE(both.ada.opinion().round_trip.has_value());
}
