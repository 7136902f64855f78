// SPDX-License-Identifier: MPL-2.0
//
// A tray in a world without clocks: what it is told, and what it says, in words.
#pragma once

#include "task_tray.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace parley::detail {

inline task_entry make_entry(task_entry::kind what, task_ticket ticket = 0) {
  task_entry made;
  made.what = what;
  made.ticket = ticket;
  return made;
}

inline worker_options with_credit(std::size_t credit) {
  worker_options chosen;
  chosen.credit = credit;
  return chosen;
}

struct tray_at_work {
  explicit tray_at_work(const worker_options& chosen = {}) : options{chosen} {}
  ~tray_at_work() {
    for (const served_task& each : served) {
      if (!each.run->done(each.place, now)) {
        taken.push_back(&tray.claim(each, now));
      }
    }
    for (held_task* each : taken) {
      tray.release(*each);
    }
  }
  tray_at_work(const tray_at_work&) = delete;
  tray_at_work& operator=(const tray_at_work&) = delete;

  worker_options options;
  held_task::time_point now{std::chrono::hours{1}};
  task_tray tray{options, 99};
  std::vector<held_task*> taken;
  std::vector<served_task> served;  // neither done nor claimed
  std::vector<std::stop_source> stops;
  std::map<task_tray::link, std::size_t> credit;  // as each source knows it
  task_ticket next_ticket = 1;

  void check_books() {
    const worker_statistics is = tray.statistics();
    CHECK(is.received == is.done + is.failed + is.rejected + is.given_back + is.repeated +
                             is.waiting + is.working);
  }
  void say(const task_entry& entry, task_tray::link by = 1) {
    task_writer out;
    out.add(entry);
    hear(message{out.take()}, by);
  }
  void hear(message&& incoming, task_tray::link by = 1) {
    tray.receive(by, std::move(incoming), now);
    check_books();
  }
  void greet(task_tray::link by = 1, std::uint64_t id = 7) {
    task_entry words = make_entry(task_entry::kind::source);
    words.id = id;
    say(words, by);
  }
  // A source that we connected to; what it was told about us is heard.
  void join(task_tray::link by = 1) {
    tray.opened(by, now);
    greet(by);
    static_cast<void>(said(by));
  }
  task_ticket send_task(const std::string& body = "body", task_tray::link by = 1) {
    task_entry words = make_entry(task_entry::kind::task, next_ticket++);
    words.id = words.ticket;
    words.body = body;
    say(words, by);
    return words.ticket;
  }
  // So many at once, the bodies of which are their numbers.
  task_ticket send_run(std::uint16_t count, task_tray::link by = 1) {
    const task_ticket first = next_ticket;
    std::string bodies;
    for (std::uint16_t index = 0; index < count; ++index, ++next_ticket) {
      const std::string body = std::to_string(next_ticket);
      bodies += std::string(3, '\0') + static_cast<char>(body.size()) + body;
    }
    task_entry words = make_entry(task_entry::kind::task, first);
    words.id = first;
    words.count = count;
    words.body = bodies;
    say(words, by);
    return first;
  }
  held_task* take() {
    held_task* const got = tray.take(now);
    check_books();
    if (got != nullptr) {
      taken.push_back(got);
    }
    return got;
  }
  bool done(held_task& which, frame result = {}) {
    const bool counts = tray.done(which, std::move(result), now);
    check_books();
    return counts;
  }
  bool end(held_task& which, task_entry::ending how, std::string_view why = {}) {
    const bool counts = tray.end(which, how, why, now);
    check_books();
    return counts;
  }
  void pass(std::chrono::microseconds time) {
    const auto until = now + time;
    while (tray.next_tick() <= until) {
      now = std::max(now, tray.next_tick());
      tray.tick(now, stops);
      check_books();
    }
    now = until;
    tray.tick(now, stops);
    check_books();
  }
  // What leaves now, in words.
  std::string said(task_tray::link to = 1) {
    std::string text;
    tray.begin_sending();
    while (auto outgoing = tray.next_message(to, now)) {
      text += (text.empty() ? "" : " ") + words(*outgoing, to);
    }
    return text;
  }
  std::string words(const message& of, task_tray::link to) {
    std::string text;
    auto reader = task_reader::open(of.front().view());
    REQUIRE(reader);
    std::size_t next_body = 1;
    while (reader->has_more()) {
      const auto entry = reader->next();
      REQUIRE(entry);
      text += text.empty() ? "" : " ";
      const std::string number = std::to_string(entry->ticket);
      switch (entry->what) {
        case task_entry::kind::worker:
          text += "worker(" + std::to_string(entry->id) + "," + std::string{entry->text} + "," +
                  std::to_string(entry->credit) + ")";
          credit[to] = entry->credit;
          break;
        case task_entry::kind::credit:
          text += "credit(" + std::to_string(entry->credit) + ")";
          credit[to] = entry->credit;
          break;
        case task_entry::kind::begun:
          text += "begun(" + number + ")";
          break;
        case task_entry::kind::done:
          text += "done(" + number;
          text += entry->count > 1 ? "-" + std::to_string(entry->ticket + entry->count - 1) : "";
          if (entry->body_follows) {
            text += "," + std::to_string(of[next_body++].size());
          } else if (!entry->body.empty()) {
            text += "=" + std::string{entry->body};
          }
          text += ")";
          break;
        case task_entry::kind::ended:
          text += entry->how == task_entry::ending::failed     ? "failed("
                  : entry->how == task_entry::ending::rejected ? "rejected("
                  : entry->how == task_entry::ending::expired  ? "expired("
                                                               : "given_back(";
          text += number + (entry->text.empty() ? "" : "," + std::string{entry->text}) + ")";
          break;
        case task_entry::kind::leave:
          text += "leave";
          break;
        case task_entry::kind::beat:
          text += "beat";
          break;
        default:
          FAIL("no word of a worker");
      }
    }
    CHECK(next_body == of.size());
    return text;
  }
  worker_statistics books() const { return tray.statistics(); }

  // So that it knows tasks to be short, and serves runs.
  void learn() {
    static_cast<void>(send_task());
    held_task* const quick = take();
    REQUIRE(quick != nullptr);
    now += std::chrono::microseconds{5};
    CHECK(done(*quick));
    pass(std::chrono::milliseconds{1});
    static_cast<void>(said());
  }
  served_task serve() {
    const served_task next = tray.serve(nullptr, now);
    check_books();
    if (next.run != nullptr) {
      served.push_back(next);
    }
    return next;
  }
  // True: without the tray.
  bool done(const served_task& which) {
    const bool is_done = which.run->done(which.place, now);
    if (is_done) {
      forget(which);
    } else {
      static_cast<void>(done(claim(which)));
    }
    check_books();
    return is_done;
  }
  held_task& claim(const served_task& which) {
    forget(which);
    taken.push_back(&tray.claim(which, now));
    check_books();
    return *taken.back();
  }

 private:
  void forget(const served_task& which) {
    const auto found = std::ranges::find_if(served, [&](const served_task& each) {
      return each.run == which.run && each.place == which.place;
    });
    REQUIRE(found != served.end());
    served.erase(found);
  }
};

}  // namespace parley::detail
