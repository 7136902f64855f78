// SPDX-License-Identifier: MPL-2.0
//
// Publishers and subscribers without sockets, in a world where connections break, deliveries get
// lost, double and out of order, programs are slow and publishers die. Each world has a seed;
// PARLEY_WORLD_SEED=n plays that one again.
#include "feed_desk.hpp"
#include "feed_reader.hpp"

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> topics = {"a", "ab", "b", "c"};

class world {
 public:
  explicit world(unsigned seed) : random_{seed} {
    publisher_options_.limit = pick(3, 60);
    publisher_options_.history = one_in(2) ? 0 : pick(1, 40);
    publisher_options_.last_value = one_in(2);
    publisher_options_.topics = one_in(3) ? 2 : 100;
    publisher_options_.away = one_in(3) ? 500ms : 30s;
    publisher_options_.when_lagging =
        one_in(4) ? lag_policy::drop_newest
                  : (one_in(4) ? lag_policy::newest_by_topic : lag_policy::drop_oldest);
    for (int count = 0; count < 2; ++count) {
      start_publisher();
    }
    for (std::uint64_t count = 1; count <= 3; ++count) {
      start_subscriber(count);
    }
  }

  void run() {
    for (int step = 0; step < 600; ++step) {
      now_ += std::chrono::milliseconds{pick(0, 40)};
      act();
    }
    faults_ = false;
    for (auto& each : subscribers_) {
      for (std::size_t at = 0; at < desks_.size(); ++at) {
        connect(*each, at);
      }
    }
    // Long enough for beats, and for what they bring to light.
    for (int step = 0; step < 400; ++step) {
      now_ += 50ms;
      for (std::size_t at = 0; at < desks_.size(); ++at) {
        flush(at);
      }
      carry(1000);
      for (auto& each : subscribers_) {
        take(*each, 1000);
      }
    }
  }

  // Returns how many books were compared with those on the other end.
  std::size_t check() {
    for (const auto& each : subscribers_) {
      for (std::size_t at = 0; at < desks_.size(); ++at) {
        check(*each, at);
      }
    }
    return compared_;
  }

 private:
  struct published {
    std::string topic;
  };
  struct desk {
    std::uint64_t id = 0;
    std::unique_ptr<feed_desk> logic;
    std::vector<published> messages;  // number 1, 2, ...
    bool is_alive = true;
  };
  // What one subscriber heard of one publisher.
  struct heard {
    std::uint64_t last = 0;
    std::size_t links = 0;
    std::set<std::uint64_t> received;
    std::set<std::uint64_t> lost;
  };
  struct connection {
    bool is_up = false;
    std::deque<message> down;
    std::deque<std::string> up;
    std::set<std::string> known;  // subscriptions that the publisher has
  };
  struct client {
    std::uint64_t id = 0;
    subscriber_options options;
    std::unique_ptr<feed_reader> reader;
    std::set<std::string> prefixes;
    bool is_fickle = false;      // its prefixes come and go
    std::set<std::string> says;  // its subscriptions
    std::map<std::uint64_t, std::string> said_of;
    std::map<std::size_t, connection> connections;  // by desk
    std::map<std::uint64_t, heard> of;              // by publisher
  };

  std::size_t pick(std::size_t least, std::size_t most) {
    return std::uniform_int_distribution<std::size_t>{least, most}(random_);
  }
  bool one_in(std::size_t count) { return pick(1, count) == 1; }

  void start_publisher() {
    auto made = std::make_unique<desk>();
    made->id = 1000 + desks_.size();
    made->logic = std::make_unique<feed_desk>(publisher_options_, made->id, now_);
    desks_.push_back(std::move(made));
  }
  void start_subscriber(std::uint64_t id) {
    auto made = std::make_unique<client>();
    made->id = id;
    made->options.limit = pick(1, 30);
    made->options.recover = !one_in(4);
    made->reader = std::make_unique<feed_reader>(id, made->options, now_);
    made->is_fickle = one_in(3);
    made->prefixes = one_in(2) ? std::set<std::string>{"a"} : std::set<std::string>{"", "ab"};
    made->says = {wishes_topic(made->reader->wishes()), inbox_topic(id)};
    for (const std::string& each : made->prefixes) {
      static_cast<void>(made->reader->subscribe(each));
      made->says.insert(each);
      made->says.insert(prefix_topic(id, each));
    }
    subscribers_.push_back(std::move(made));
    for (std::size_t at = 0; at < desks_.size(); ++at) {
      connect(*subscribers_.back(), at);
    }
  }

  void act() {
    client& who = *subscribers_[pick(0, subscribers_.size() - 1)];
    const std::size_t at = pick(0, desks_.size() - 1);
    switch (pick(0, 19)) {
      case 0:
        disconnect(who, at);
        break;
      case 1:
      case 2:
        connect(who, at);
        break;
      case 3:
        if (one_in(15)) {
          kill(at);
        }
        break;
      case 4:
        if (one_in(5)) {
          now_ += 1s;
        } else if (who.is_fickle) {
          change_prefixes(who);
        }
        break;
      case 5:
      case 6:
      case 7:
        take(who, pick(1, 30));
        break;
      case 8:
      case 9:
      case 10:
      case 11:
        carry(pick(1, 5));
        break;
      case 12:
      case 13:
      case 14:
        flush(at);
        break;
      default:
        publish(at, pick(1, 10));
        break;
    }
  }

  void publish(std::size_t at, std::size_t count) {
    desk& by = *desks_[at];
    if (!by.is_alive) {
      return;
    }
    const feed_ref bundle{new feed_bundle{false, by.messages.size() + 1, 0, 0}};
    for (; count > 0; --count) {
      const std::string& topic = topics[pick(0, topics.size() - 1)];
      by.messages.push_back({topic});
      bundle->add(topic, std::to_string(by.messages.size()));
    }
    static_cast<void>(by.logic->publish(bundle, 0, false, now_));
  }

  void flush(std::size_t at) {
    desk& by = *desks_[at];
    if (!by.is_alive) {
      return;
    }
    by.logic->flush(now_, [&](message&& outgoing) {
      const auto address = parse_address(outgoing.front().view());
      for (auto& each : subscribers_) {
        connection& way = each->connections[at];
        // Prefixes of our subscribers seem to be plain ones until the publisher knows better.
        if (way.is_up && (!address || each->id == address->subscriber)) {
          way.down.push_back(message{outgoing});
        }
      }
    });
  }

  // Some of what is under way arrives.
  void carry(std::size_t most) {
    for (auto& each : subscribers_) {
      for (auto& [at, way] : each->connections) {
        for (std::size_t count = 0; count < most && !way.up.empty(); ++count) {
          hear(at, way.up.front());
          way.up.pop_front();
        }
        for (std::size_t count = 0; count < most && !way.down.empty(); ++count) {
          deliver(*each, way.down);
        }
      }
    }
  }
  void hear(std::size_t at, const std::string& said) {
    if (desks_[at]->is_alive) {
      desks_[at]->logic->receive(message{frame{said}}, now_);
    }
  }
  void deliver(client& to, std::deque<message>& from) {
    if (faults_ && from.size() > 1 && one_in(20)) {
      std::swap(from[0], from[1]);
    }
    message first = std::move(from.front());
    from.pop_front();
    if (faults_ && one_in(20)) {
      return;
    }
    if (faults_ && one_in(20)) {
      from.push_back(message{first});
    }
    to.reader->take(std::move(first), now_);
    speak(to);
  }

  // The subscriber's program receives.
  void take(client& who, std::size_t most) {
    for (std::size_t count = 0; count < most; ++count) {
      publication got;
      feed_event event{};
      const feed_reader::step step = who.reader->next(got, event);
      if (step == feed_reader::step::nothing) {
        break;
      }
      if (step == feed_reader::step::message) {
        hear_message(who, got);
      } else {
        hear_event(who, event);
      }
    }
    if (who.reader->is_empty()) {
      who.reader->rest(now_);
    }
    who.reader->tick(now_);
    speak(who);
  }
  void hear_message(client& who, const publication& got) {
    heard& of = who.of[got.publisher];
    INFO("subscriber " << who.id << ", publisher " << got.publisher << ", number " << got.sequence);
    CHECK(got.body == std::to_string(got.sequence));
    CHECK(of.received.insert(got.sequence).second);
    if (publisher_options_.when_lagging != lag_policy::newest_by_topic) {
      CHECK(got.sequence > of.last);
    }
    of.last = got.sequence;
  }
  static void hear_event(client& who, const feed_event& event) {
    heard& of = who.of[event.publisher];
    if (event.what == feed_event::kind::joined) {
      ++of.links;
    } else if (event.what == feed_event::kind::lost) {
      for (std::uint64_t number = event.first; number <= event.last; ++number) {
        of.lost.insert(number);
      }
    }
  }

  void speak(client& who) {
    for (const feed_request& each : who.reader->requests()) {
      std::string& said = who.said_of[each.link];
      const std::string topic = request_topic(each);
      say(who, '\1', topic);
      if (!said.empty()) {
        say(who, '\0', said);
      }
      said = topic;
    }
    who.reader->requests().clear();
  }
  void say(client& who, char what, const std::string& topic) {
    if (what == '\1') {
      who.says.insert(topic);
    } else {
      who.says.erase(topic);
    }
    for (auto& [at, way] : who.connections) {
      if (way.is_up) {
        way.up.push_back(std::string(1, what) + topic);
        if (what == '\1') {
          way.known.insert(topic);
        } else {
          way.known.erase(topic);
        }
      }
    }
  }

  void change_prefixes(client& who) {
    static const std::vector<std::string> all = {"", "a", "ab", "b"};
    const std::string& prefix = all[pick(0, all.size() - 1)];
    const std::string own = prefix_topic(who.id, prefix);
    if (who.prefixes.insert(prefix).second) {
      CHECK(who.reader->subscribe(prefix));
      say(who, '\1', own);
      say(who, '\1', prefix);
    } else if (who.prefixes.size() > 1) {
      who.prefixes.erase(prefix);
      CHECK(who.reader->unsubscribe(prefix));
      say(who, '\0', prefix);
      say(who, '\0', own);
    }
  }

  void connect(client& who, std::size_t at) {
    connection& way = who.connections[at];
    if (way.is_up || !desks_[at]->is_alive) {
      return;
    }
    way.is_up = true;
    way.known = who.says;
    for (const std::string& each : who.says) {
      way.up.push_back("\1" + each);
    }
  }
  void disconnect(client& who, std::size_t at) {
    connection& way = who.connections[at];
    if (!way.is_up) {
      return;
    }
    // What was on its way is lost or not, but the publisher forgets all that it was told.
    std::set<std::string> told = way.known;
    while (!way.up.empty()) {
      if (one_in(2)) {
        hear(at, way.up.front());
      } else {
        told.erase(way.up.front().substr(1));
      }
      way.up.pop_front();
    }
    for (const std::string& each : told) {
      hear(at, std::string(1, '\0') + each);
    }
    way = {};
  }
  void kill(std::size_t at) {
    for (auto& each : subscribers_) {
      each->connections[at] = {};
    }
    desks_[at]->is_alive = false;
    start_publisher();
    for (auto& each : subscribers_) {
      connect(*each, desks_.size() - 1);
    }
  }

  void check(client& who, std::size_t at) {
    const desk& by = *desks_[at];
    if (!by.is_alive) {
      return;
    }
    const heard& of = who.of[by.id];
    INFO("subscriber " << who.id << ", publisher " << by.id);
    // Who recovers misses nothing from the first that it got on; a joiner may begin late.
    const auto first = [](const std::set<std::uint64_t>& numbers, std::uint64_t otherwise) {
      return numbers.empty() ? otherwise : *numbers.begin();
    };
    const std::uint64_t none = by.messages.size() + 1;
    std::uint64_t begin = std::min(first(of.received, none), first(of.lost, none));
    for (; !who.is_fickle && begin < none; ++begin) {
      INFO("number " << begin);
      const std::string& topic = by.messages[begin - 1].topic;
      const bool is_wanted =
          std::any_of(who.prefixes.begin(), who.prefixes.end(),
                      [&](const std::string& each) { return topic.starts_with(each); });
      const bool is_received = of.received.contains(begin);
      CHECK(is_wanted >= is_received);
      CHECK((!is_wanted || is_received || of.lost.contains(begin)));
    }
    for (const subscriber_ledger& each : by.logic->ledger()) {
      if (each.id == who.id) {
        const prefix_ledger books = each.sum();
        CHECK(books.published == books.delivered + books.queued + books.dropped.total());
        CHECK(books.queued == 0);
        CHECK(books.delivered <= of.received.size());
        check_books(who, by.id, of, each);
      }
    }
  }

  static const feed_prefix_ledger& of_prefix(const feed_ledger& in, const std::string& prefix) {
    static const feed_prefix_ledger none{};
    const auto found =
        std::find_if(in.prefixes.begin(), in.prefixes.end(),
                     [&](const feed_prefix_ledger& each) { return each.prefix == prefix; });
    return found == in.prefixes.end() ? none : *found;
  }
  // On both ends the same, prefix by prefix.
  void check_books(const client& who, std::uint64_t publisher, const heard& of,
                   const subscriber_ledger& there) {
    const std::vector<feed_ledger> all = who.reader->ledger();
    const auto here = std::find_if(all.begin(), all.end(), [&](const feed_ledger& each) {
      return each.publisher == publisher;
    });
    REQUIRE(here != all.end());
    feed_prefix_ledger sum;
    for (const feed_prefix_ledger& each : here->prefixes) {
      sum.received += each.received;
      sum.waiting += each.waiting;
      sum.lost += each.lost;
    }
    CHECK(sum.received == here->received);
    CHECK(sum.received == of.received.size());
    CHECK(sum.waiting == 0);
    CHECK(sum.lost == here->lost);
    if (of.links != 1) {
      return;  // of the links before, the publisher does not know what became of the last of it
    }
    ++compared_;
    for (const prefix_ledger& each : there.prefixes) {
      INFO("prefix " << each.prefix);
      const feed_prefix_ledger& same = of_prefix(*here, each.prefix);
      CHECK(each.published == same.received + same.lost.total());
      CHECK(each.delivered == same.received);
      CHECK(each.dropped == same.lost);
    }
  }

  std::minstd_rand random_;
  feed_bundle::time_point now_{1h};
  publisher_options publisher_options_;
  bool faults_ = true;
  std::size_t compared_ = 0;
  std::vector<std::unique_ptr<desk>> desks_;
  std::vector<std::unique_ptr<client>> subscribers_;
};

}  // namespace

TEST_CASE("whatever happens, a feed is in order, without doubles, and tells what is missing") {
  unsigned first = 1;
  unsigned last = 300;
  if (const char* const chosen = std::getenv("PARLEY_WORLD_SEED")) {
    first = last = static_cast<unsigned>(std::strtoul(chosen, nullptr, 10));
  }
  std::size_t compared = 0;
  for (unsigned seed = first; seed <= last; ++seed) {
    INFO("PARLEY_WORLD_SEED=" << seed);
    world made{seed};
    made.run();
    compared += made.check();
  }
  CHECK(compared >= last - first);
}
