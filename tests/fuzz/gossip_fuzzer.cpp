// SPDX-License-Identifier: MPL-2.0
//
// Whatever guests and seeds say: what is told can be read and is told to those who asked, nothing
// is told back to where it came from, and what is known, and told at a time, is bounded. What is
// read of a message and written again is read the same.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "choices.hpp"
#include "peers/gossip_book.hpp"

using namespace parley;
using namespace parley::detail;
using kind = gossip_message::kind;

namespace {

constexpr std::size_t most_facts = 16;
constexpr std::size_t seeds = 2;

peer_id id_of(std::uint8_t which) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes.fill(which);
  return peer_id{bytes};
}

void read_and_write(std::string_view frame) {
  const auto read = read_gossip(frame);
  if (!read) {
    return;
  }
  const auto again = read_gossip(write_gossip(*read));
  require(again && again->what == read->what && again->key == read->key &&
          again->value == read->value);
  if (const auto fact = read->what == kind::publish ? fact_of(*read) : std::nullopt) {
    const auto same = fact_of(message_of(*fact));
    require(same && same->who == fact->who && same->where == fact->where);
  }
}

class seed {
 public:
  explicit seed(choices& next) : next_{next} {}

  void act() {
    const std::uint8_t what = next_.octet();
    const std::uint8_t who = next_.octet();
    const std::string guest = "guest-" + std::to_string(who % 8);
    now_ += std::chrono::milliseconds{what * 10};
    from_guest_.clear();
    from_seed_ = seeds;
    switch (what % 7) {
      case 0: {
        const auto frame = next_.bytes();
        read_and_write(frame);
        hear_guest(guest, frame);
        break;
      }
      case 1: {
        const auto frame = next_.bytes();
        read_and_write(frame);
        hear_seed(who % seeds, frame);
        break;
      }
      case 2:
        hear_guest(guest, write_gossip({.what = kind::hello}));
        break;
      case 3:
        hear_guest(guest, write_gossip(message_of(fact(who))));
        break;
      case 4:
        hear_seed(who % seeds, write_gossip(message_of(fact(who))));
        break;
      case 5:
        book_.lose_guest(guest);
        guests_.erase(guest);
        break;
      default:
        who % 2 == 0 ? book_.know(fact(who), now_) : static_cast<void>(0);
        require(book_.tick(now_) > now_);
    }
    look();
  }

 private:
  gossip_fact fact(std::uint8_t who) {
    return {id_of(who), {"10.0.0." + std::to_string(next_.octet() % 4), 5000}};
  }
  void hear_guest(const std::string& guest, std::string_view frame) {
    from_guest_ = guest;
    guests_.insert(guest);
    book_.hear_guest(guest, "10.0.0.9", frame, now_);
  }
  void hear_seed(std::size_t which, std::string_view frame) {
    from_seed_ = which;
    book_.hear_seed(which, frame, now_);
  }

  void look() {
    require(book_.count_facts() <= most_facts);
    const auto facts = book_.take_heard();
    for (const gossip_fact& each : facts) {
      require(peer_place::parse(each.where.str()).has_value());
    }
    const auto steps = book_.take_steps();
    require(steps.size() <= 8 + (most_facts + 3) * (1 + seeds));
    for (const gossip_book::step& each : steps) {
      if (each.guest.empty()) {
        require(each.seed < seeds);
        require(each.seed != from_seed_);
      } else {
        require(guests_.contains(each.guest));
      }
      if (!each.is_self) {
        require(read_gossip(write_gossip(each.said)).has_value());
      }
    }
  }

  choices& next_;
  gossip_book book_{id_of(0), seeds, most_facts};
  gossip_book::time_point now_{std::chrono::hours{1}};
  std::set<std::string> guests_;  // who said anything
  std::string from_guest_;
  std::size_t from_seed_ = seeds;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_and_write({reinterpret_cast<const char*>(data), size});
  choices next{data, size};
  seed one{next};
  while (next.has_more()) {
    one.act();
  }
  return 0;
}
