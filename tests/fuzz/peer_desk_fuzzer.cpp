// SPDX-License-Identifier: MPL-2.0
//
// Whatever beacons and messages come, whoever answers and hangs up: a node says only what can be
// read, in order and on links that are open, tells a story that makes sense, and knows no more
// peers than it should.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "choices.hpp"
#include "peers/peer_desk.hpp"

using namespace parley;
using namespace parley::detail;
using said = zre_message::kind;

namespace {

constexpr std::size_t most_peers = 8;

peer_id id_of(std::uint8_t which) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes.fill(static_cast<std::uint8_t>(1 + which % 12));
  return peer_id{bytes};
}
std::string host_of(std::uint8_t which) { return "10.0.0." + std::to_string(which % 4); }

class node {
 public:
  explicit node(choices& next) : next_{next}, desk_{id_of(0), "node", 7, options()} {}

  void act() {
    const std::uint8_t what = next_.octet();
    const std::uint8_t who = next_.octet();
    now_ += std::chrono::milliseconds{what};
    switch (what % 12) {
      case 0:
      case 1:
        if (const auto heard = read_beacon(next_.bytes())) {
          desk_.heard_beacon(*heard, host_of(who), now_);
        }
        break;
      case 2:
        desk_.heard_beacon({id_of(who), static_cast<std::uint16_t>(next_.octet()), {}},
                           host_of(next_.octet()), now_);
        break;
      case 3: {
        message said{frame{next_.bytes()}};
        said.push_back(frame{next_.bytes()});
        desk_.heard(id_of(who), host_of(who), std::move(said), now_);
        break;
      }
      case 4:
      case 5:  // its next, if it was followed so far
        hear_next(who);
        break;
      case 6:
      case 7:
        answer(static_cast<probe_answer>(who % 3));
        break;
      case 8:
        desk_.hung_up(id_of(who), now_);
        break;
      case 9:
        now_ += std::chrono::milliseconds{who * 100};
        require(desk_.tick(now_) > now_);
        break;
      case 10:
        who % 2 == 0 ? desk_.join(std::string(1, static_cast<char>('a' + who % 5)))
                     : desk_.leave(std::string(1, static_cast<char>('a' + who % 5)));
        break;
      default:
        if (who == 255 && !lines_.empty()) {
          desk_.stuck(lines_.begin()->first);
        } else if (desk_.link_of(id_of(who)) != 0) {
          desk_.whisper(id_of(who), message{"x"});
          desk_.shout(id_of(who), "a", message{"x"});
        }
    }
    carry_out();
    require(desk_.here().size() <= most_peers);
    require(desk_.here().size() == here_.size());
  }

  void end() {
    desk_.close();
    carry_out();
    require(lines_.empty() && here_.empty());
  }

 private:
  static peers_options options() {
    peers_options made;
    made.most_peers = most_peers;
    return made;
  }

  void hear_next(std::uint8_t who) {
    const std::uint8_t what = next_.octet();
    zre_message head{.what = static_cast<said>(1 + what % 7)};
    auto& last = last_heard_[id_of(who)];
    last = head.what == said::hello ? std::uint16_t{1} : static_cast<std::uint16_t>(last + 1);
    head.sequence = last;
    head.group = "a";
    head.status = what;
    head.name = "peer";
    head.endpoint = next_.bytes();
    head.groups = {"a", std::string{next_.bytes()}};
    if (what % 2 == 0) {
      head.headers = {{"X-PARLEY", "1"}};
    }
    desk_.heard(id_of(who), host_of(who), message{frame{write_zre(head)}}, now_);
  }

  void answer(probe_answer how) {
    if (!probes_.empty()) {
      const auto [link, where] = probes_.front();
      probes_.erase(probes_.begin());
      desk_.probed(link, where, how, "10.0.0.99", now_);
    }
  }

  void carry_out() {
    for (peer_step& each : desk_.take_steps()) {
      switch (each.what) {
        case peer_step::kind::probe:
          probes_.emplace_back(each.link, each.where);
          require(probes_.size() < 5000);
          break;
        case peer_step::kind::open:
          require(!lines_.contains(each.link));
          lines_[each.link] = 0;
          break;
        case peer_step::kind::send: {
          require(lines_.contains(each.link));
          auto& last = lines_[each.link];
          zre_message head;
          require(read_zre(each.said.front().view(), head) == zre_reading::good);
          require(head.sequence == static_cast<std::uint16_t>(last + 1));
          require((head.what == said::hello) == (last == 0));
          require(!head.has_content() || each.said.size() > 1);
          last = head.sequence;
          break;
        }
        case peer_step::kind::close:
        case peer_step::kind::drop:
          require(lines_.erase(each.link) == 1);
          break;
      }
    }
    for (const peer_event& each : desk_.take_events()) {
      if (each.what == peer_event::kind::enter) {
        require(here_.insert(each.peer).second);
      } else {
        require(here_.contains(each.peer));
      }
      if (each.what == peer_event::kind::exit) {
        here_.erase(each.peer);
      }
    }
  }

  choices& next_;
  peer_desk desk_;
  peer_desk::time_point now_{std::chrono::hours{1}};
  std::vector<std::pair<peer_link, peer_place>> probes_;
  std::map<peer_link, std::uint16_t> lines_;  // the last number said on it
  std::map<peer_id, std::uint16_t> last_heard_;
  std::set<peer_id> here_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  choices next{data, size};
  node one{next};
  while (next.has_more()) {
    one.act();
  }
  one.end();
  return 0;
}
