// SPDX-License-Identifier: MPL-2.0
//
// A source without sockets, in a world where workers are slow, fail, hang, lie, go and come back.
// Each world has a seed; PARLEY_WORLD_SEED=n plays that one again.
#include "task_desk.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "run_bodies.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

class world {
 public:
  explicit world(unsigned seed) : random_{seed} {
    options_.limit = pick(5, 60);
    options_.when_full = one_in(2) ? full_policy::wait : full_policy::drop_oldest;
    options_.attempts = static_cast<std::uint32_t>(pick(1, 4));
    options_.dead_letters = pick(0, 20);
    options_.retry_delay = std::chrono::milliseconds{pick(0, 50)};
    options_.retry_delay_max = 150ms;
    options_.heartbeat = 100ms;
    options_.heartbeat_timeout = 600ms;
    has_deadlines_ = one_in(2);
    options_.journal = one_in(2) ? "told of each" : "";
    desk_ = std::make_unique<task_desk>(options_, 77, UINT32_MAX - 50);
    if (one_in(3)) {
      desk_->opened_plain(plain_);
      has_plain_ = true;
    }
  }

  void run() {
    for (int step = 0; step < 1500; ++step) {
      if (one_in(3)) {
        now_ += std::chrono::milliseconds{pick(0, 30)};
      }
      act();
      check();
    }
    // From now on all goes well: nobody hangs, and there are workers of each name.
    for (auto& each : workers_) {
      each.is_hanging = false;
    }
    join("");
    join("ada");
    for (int step = 0; step < 2000 && desk_->held() > 0; ++step) {
      now_ += 20ms;
      desk_->tick(now_);
      for (auto& each : workers_) {
        receive(each);
        while (!each.has.empty()) {
          answer(each, each.has.begin()->first, kind::done, ending::failed);
        }
        say(each, {.what = kind::beat});
      }
      check();
    }
    CHECK(desk_->held() == 0);
    CHECK(desk_->held_bytes() == 0);
    for (const auto& [number, task] : tasks_) {
      if (task.ends != 1) {
        FAIL("task " << number << " ended " << task.ends << " times");
      }
    }
    CHECK(desk_->dead_letters(SIZE_MAX).size() == std::min(buried_, options_.dead_letters));
  }

 private:
  struct pushed {
    task_options how;
    task_desk::time_point at;
    int ends = 0;
    int said_done = 0;  // by a worker, in time or not
    bool is_plain = false;
    bool is_buried = false;
  };
  struct worker {
    task_desk::link which = 0;
    std::string name;
    std::uint32_t credit = 0;
    bool is_hanging = false;
    bool is_told = false;  // who the source is
    std::map<std::uint64_t, task_ticket> has;
  };

  std::size_t pick(std::size_t least, std::size_t most) {
    return std::uniform_int_distribution<std::size_t>{least, most}(random_);
  }
  bool one_in(std::size_t count) { return pick(1, count) == 1; }

  void act() {
    switch (pick(0, 15)) {
      case 0:
      case 1:
      case 2:
      case 3:
        add();
        break;
      case 4:
        if (workers_.size() < 6) {
          join(one_in(3) ? "ada" : "");
        }
        break;
      case 5:
        desk_->tick(now_);
        break;
      case 6:
        if (has_plain_ && one_in(3)) {
          take_plain();
        }
        break;
      default:
        if (!workers_.empty()) {
          act(workers_[pick(0, workers_.size() - 1)]);
        }
    }
    hear_news();
  }

  void add() {
    if (options_.when_full == full_policy::wait && desk_->held() >= options_.limit) {
      return;
    }
    if (!options_.journal.empty() && one_in(3)) {
      add_run();
      return;
    }
    task_draft draft;
    draft.number = ++last_;
    draft.body = frame{std::string(one_in(10) ? 3000 : pick(0, 100), 'x')};
    draft.pushed = now_;
    draft.when_ended = [](task_outcome&&) {};
    pushed& task = tasks_[last_];
    task.at = now_;
    if (one_in(2)) {
      task.how.key = one_in(2) ? std::string(1, static_cast<char>('a' + pick(0, 2))) : "";
      task.how.to = one_in(4) ? "ada" : "";
      task.how.priority = one_in(3) ? static_cast<int>(pick(0, 9)) : 0;
      task.how.delay = std::chrono::milliseconds{one_in(3) ? pick(0, 100) : 0};
      task.how.deadline = std::chrono::milliseconds{has_deadlines_ && one_in(3) ? pick(1, 300) : 0};
      draft.options = std::make_unique<task_options>(task.how);
    }
    desk_->add(std::move(draft), now_);
  }

  // Usual ones that were pushed together; who has no journal hears nothing of them.
  void add_run() {
    const std::size_t room = options_.when_full == full_policy::wait
                                 ? options_.limit - desk_->held()
                                 : std::size_t{most_in_run};
    task_draft draft;
    draft.number = last_ + 1;
    draft.pack = task_pack_ref{new task_pack{0}};
    const std::size_t count = pick(1, std::min(room, one_in(4) ? std::size_t{most_in_run} : 6));
    for (std::size_t index = 0; index < count; ++index) {
      draft.pack->add(std::string(pick(0, 100), 'x'));
      tasks_[++last_].at = now_;
    }
    desk_->add(std::move(draft), now_);
  }

  void join(const std::string& name) {
    worker& made = workers_.emplace_back();
    made.which = ++links_;
    made.name = name;
    if (one_in(2)) {
      desk_->opened(made.which, now_);
    }
    introduce(made);
  }
  void introduce(worker& who) {
    who.credit = static_cast<std::uint32_t>(pick(1, 8));
    who.has.clear();
    say(who, {.what = kind::worker,
              .id = who.which,
              .credit = who.credit,
              .credit_bytes = pick(1, 8000),
              .largest = UINT64_MAX,
              .text = who.name});
  }
  void say(const worker& who, const task_entry& entry) {
    task_writer writer;
    writer.add(entry);
    desk_->receive(who.which, message{writer.take()}, now_);
  }

  void act(worker& who) {
    if (who.is_hanging) {
      if (one_in(200)) {
        who.is_hanging = false;
      }
      return;
    }
    if (one_in(150)) {
      who.is_hanging = true;
      return;
    }
    receive(who);
    switch (pick(0, 40)) {
      case 0:
        desk_->lost(who.which, now_);
        std::swap(who, workers_.back());
        workers_.pop_back();
        return;
      case 1:
        say(who, {.what = kind::leave});
        introduce(who);
        return;
      case 2:
        introduce(who);
        return;
      case 3:
        desk_->opened(who.which, now_);
        who.has.clear();
        receive(who);
        introduce(who);
        return;
      case 4:
        desk_->receive(who.which, nonsense(), now_);
        return;
      case 5:  // a ticket that is not its, or old
        say(who, {.what = one_in(2) ? kind::begun : kind::ended, .ticket = random_ticket(who)});
        return;
      case 6:
        who.credit = static_cast<std::uint32_t>(pick(who.has.size(), who.has.size() + 5));
        say(who, {.what = kind::credit, .credit = who.credit, .credit_bytes = pick(1, 8000)});
        return;
      default:
        break;
    }
    if (who.has.empty()) {
      say(who, {.what = kind::beat});
      return;
    }
    const auto number =
        std::next(who.has.begin(), static_cast<std::ptrdiff_t>(pick(0, who.has.size() - 1)))->first;
    switch (pick(0, 9)) {
      case 0:
        say(who, {.what = kind::begun, .ticket = who.has[number]});
        break;
      case 1:
        answer(who, number, kind::ended, ending::failed);
        break;
      case 2:
        answer(who, number, kind::ended, one_in(5) ? ending::rejected : ending::given_back);
        break;
      case 3:
        answer(who, number, kind::ended, one_in(5) ? ending::expired : ending::failed);
        break;
      case 4:
      case 5:
        answer_run(who, number);
        break;
      default:
        answer(who, number, kind::done, ending::failed);
    }
  }
  // Done, and some with the tickets behind it.
  void answer_run(worker& who, std::uint64_t number) {
    const task_ticket ticket = who.has[number];
    std::uint16_t count = 0;
    for (const std::size_t most = pick(1, 70);
         count < most && who.has.contains(number) && who.has[number] == ticket + count; ++number) {
      ++tasks_[number].said_done;
      who.has.erase(number);
      ++count;
    }
    say(who, {.what = kind::done, .ticket = ticket, .count = count});
    hear_news();
  }
  void answer(worker& who, std::uint64_t number, kind what, ending how) {
    const task_ticket ticket = who.has[number];
    who.has.erase(number);
    tasks_[number].said_done += what == kind::done ? 1 : 0;
    say(who, {.what = what, .how = how, .ticket = ticket, .text = ""});
    if (one_in(10)) {
      say(who, {.what = what, .how = how, .ticket = ticket});
    }
    hear_news();
  }
  // Not one that it has.
  task_ticket random_ticket(const worker& who) {
    const task_ticket ticket = pick(0, 70) << 32 | (UINT32_MAX - pick(0, 50));
    return std::any_of(who.has.begin(), who.has.end(),
                       [ticket](const auto& each) { return each.second == ticket; })
               ? UINT64_MAX
               : ticket;
  }
  message nonsense() {
    std::string bytes = one_in(2) ? "PT\1" : "";
    for (std::size_t size = pick(0, 20); size > 0; --size) {
      bytes += static_cast<char>(pick(7, 255));  // neither an answer nor a worker
    }
    message made{bytes};
    if (one_in(2)) {
      made.push_back(frame{"x"});
    }
    return made;
  }

  void receive(worker& who) {
    while (auto next = desk_->next_message(who.which, now_)) {
      auto reader = task_reader::open((*next)[0].view());
      REQUIRE(reader.has_value());
      std::size_t following = 1;
      while (reader->has_more()) {
        const auto entry = reader->next();
        REQUIRE(entry.has_value());
        if (entry->what == kind::source) {
          // It gave this worker up, or is new here.
          if (std::exchange(who.is_told, true)) {
            introduce(who);
            break;  // what else is in here was given up with that
          }
        } else if (entry->what == kind::beat) {
          say(who, {.what = kind::beat});
        } else {
          REQUIRE(entry->what == kind::task);
          const frame body = entry->body_follows ? (*next)[following++] : frame{entry->body};
          if (entry->count > 1) {
            REQUIRE(is_run(body.view(), entry->count));
          }
          task_entry each = *entry;
          for (std::uint16_t index = 0; index < entry->count; ++index, ++each.id, ++each.ticket) {
            take(who, each);
          }
        }
      }
      hear_news();
    }
  }
  void take(worker& who, const task_entry& entry) {
    const pushed& task = tasks_.at(entry.id);
    hear_news();
    CHECK(task.ends == 0);
    CHECK(entry.text == task.how.key);
    CHECK((task.how.to.empty() || task.how.to == who.name));
    CHECK(now_ >= task.at + task.how.delay);
    CHECK(entry.attempt <= options_.attempts);
    CHECK((entry.time_left > 0) == (task.how.deadline > 0ms));
    check_key(entry.id, task.how.key);
    who.has[entry.id] = entry.ticket;
  }
  // All in front of it ended.
  void check_key(std::uint64_t number, const std::string& key) {
    if (key.empty()) {
      return;
    }
    for (const auto& [other, task] : tasks_) {
      if (other < number && task.how.key == key && task.ends == 0) {
        FAIL("task " << number << " overtook " << other);
      }
    }
  }
  void take_plain() {
    if (const auto next = desk_->next_message(plain_, now_)) {
      CHECK(next->size() == 1);
      took_plain_ = true;
      hear_news();
      took_plain_ = false;
    }
  }

  void hear_news() {
    for (task_news& each : desk_->take_news()) {
      REQUIRE((each.when_ended || !options_.journal.empty()));
      pushed& task = tasks_.at(each.number);
      if (each.what == task_news::kind::tried ||
          (task.is_buried && each.outcome.how == task_end::dropped)) {
        continue;  // it goes on, or is a dead letter too many
      }
      ++task.ends;
      if (each.what == task_news::kind::buried) {
        task.is_buried = true;
        ++buried_;
      } else if (each.outcome.how == task_end::done) {
        CHECK((task.said_done > 0 || took_plain_));
      } else if (each.outcome.how == task_end::expired) {
        CHECK(task.how.deadline > 0ms);
      } else {
        CHECK(each.outcome.how == task_end::dropped);
        CHECK(options_.when_full == full_policy::drop_oldest);
      }
    }
  }

  void check() {
    hear_news();
    const source_statistics all = desk_->statistics();
    REQUIRE(all.accepted == all.done + all.failed + all.expired + all.dropped + all.waiting +
                                all.delayed + all.working);
    REQUIRE(all.attempts == all.done + all.failures + all.given_back + all.working);
    REQUIRE(all.accepted == last_);
    REQUIRE(desk_->held() == all.waiting + all.delayed + all.working);
    REQUIRE(desk_->held() <= options_.limit);
    REQUIRE(all.dead_letters <= options_.dead_letters);
    std::size_t working = 0;
    for (const worker_status& each : desk_->workers()) {
      working += each.working;
    }
    REQUIRE(working == all.working);
  }

  static constexpr task_desk::link plain_ = 1'000'000;

  std::mt19937 random_;
  source_options options_;
  bool has_deadlines_ = false;
  bool has_plain_ = false;
  bool took_plain_ = false;
  task_desk::time_point now_{1h};
  std::unique_ptr<task_desk> desk_;
  std::vector<worker> workers_;
  task_desk::link links_ = 0;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, pushed> tasks_;
  std::size_t buried_ = 0;
};

}  // namespace

TEST_CASE(
    "whatever workers do, each task ends once, keys keep their order, and the books balance") {
  unsigned first = 1;
  unsigned last = 400;
  if (const char* seed = std::getenv("PARLEY_WORLD_SEED")) {
    first = last = static_cast<unsigned>(std::stoul(seed));
  }
  for (unsigned seed = first; seed <= last; ++seed) {
    INFO("PARLEY_WORLD_SEED=" << seed);
    world each{seed};
    each.run();
  }
}
