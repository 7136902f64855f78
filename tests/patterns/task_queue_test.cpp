// SPDX-License-Identifier: MPL-2.0
#include "task_queue.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

using numbers = std::vector<std::uint64_t>;

// A queue that is asked for numbers of tasks.
struct waiting_tasks {
  explicit waiting_tasks(bool knows_oldest = false) : queue{tasks, knows_oldest} {}

  task_slot add(std::uint64_t number, const task_options& how = {}) {
    const task_slot which = tasks.take();
    task_record& record = tasks[which];
    record.number = number;
    record.priority = static_cast<std::uint8_t>(how.priority);
    record.more = std::make_unique<task_extras>();
    record.more->options = how;
    if (how.delay > 0ms) {
      record.more->not_before = now + how.delay;
    }
    if (how.deadline > 0ms) {
      record.more->deadline = now + how.deadline;
    }
    queue.add(which, now);
    return which;
  }
  task_slot add_usual(std::uint64_t number) {
    const task_slot which = tasks.take();
    tasks[which].number = number;
    queue.add(which, now);
    return which;
  }
  task_slot add_run(std::uint64_t number, std::uint32_t count) {
    const task_slot which = tasks.take();
    task_pack_ref pack{new task_pack{0}};
    for (std::uint32_t index = 0; index < count; ++index) {
      pack->add("body");
    }
    tasks[which].bodies = task_bodies{std::move(pack)};
    tasks[which].number = number;
    queue.add(which, now);
    return which;
  }
  task_slot take(const task_lane* lane = nullptr) {
    const task_slot next = queue.next(lane);
    return next != no_slot ? queue.take(next) : no_slot;
  }
  void end(task_slot which) {
    queue.forget(which, now);
    tasks.give(which);
  }
  // Takes all there are; keeps them.
  numbers all(const task_lane* lane = nullptr) {
    numbers got;
    for (task_slot which = take(lane); which != no_slot; which = take(lane)) {
      got.push_back(tasks[which].number);
    }
    return got;
  }
  // Those whose deadline passed.
  numbers pass(std::chrono::milliseconds time) {
    now += time;
    numbers expired;
    for (task_slot which = queue.pass(now); which != no_slot; which = queue.pass(now)) {
      expired.push_back(tasks[which].number);
      queue.remove(which);
      end(which);
    }
    return expired;
  }

  task_queue::time_point now{1h};
  task_slab tasks;
  task_queue queue;
};

}  // namespace

TEST_CASE("tasks wait in the order in which they came") {
  waiting_tasks waiting;
  waiting.add_usual(1);
  waiting.add(2);
  waiting.add_usual(3);
  CHECK(waiting.queue.ready() == 3);
  CHECK(waiting.queue.waiting() == 3);
  CHECK(waiting.all() == numbers{1, 2, 3});
  CHECK(waiting.queue.waiting() == 0);
  CHECK(waiting.take() == no_slot);
}

TEST_CASE("of a run as much is taken as one likes, the rest waits on in its place") {
  waiting_tasks waiting{true};
  const task_slot run = waiting.add_run(1, 5);
  waiting.add_usual(6);
  CHECK(waiting.queue.waiting() == 6);
  CHECK(waiting.queue.oldest() == run);
  const task_slot taken = waiting.queue.take(run, 2);
  CHECK(taken != run);
  CHECK(waiting.tasks[taken].number == 1);
  CHECK(waiting.tasks[taken].count() == 2);
  CHECK(waiting.queue.waiting() == 4);
  CHECK(waiting.queue.oldest() == run);
  CHECK(waiting.queue.next(nullptr) == run);
  CHECK(waiting.tasks[run].number == 3);
  CHECK(waiting.tasks[run].count() == 3);
  waiting.queue.put_back(taken);
  CHECK(waiting.queue.waiting() == 6);
  CHECK(waiting.queue.oldest() == taken);
  CHECK(waiting.all() == numbers{1, 3, 6});
  CHECK(waiting.queue.waiting() == 0);
}

TEST_CASE("tasks of a higher priority go first") {
  waiting_tasks waiting;
  waiting.add_usual(1);
  waiting.add(2, {.priority = 9});
  waiting.add(3, {.priority = 5});
  waiting.add(4, {.priority = 9});
  CHECK(waiting.all() == numbers{2, 4, 3, 1});
}

TEST_CASE("a task that is put back has its place by priority and number again") {
  waiting_tasks waiting;
  const task_slot first = waiting.add_usual(1);
  waiting.add_usual(2);
  waiting.add(3, {.priority = 1});
  CHECK(waiting.tasks[waiting.take()].number == 3);
  CHECK(waiting.take() == first);
  waiting.add(4, {.priority = 1});
  waiting.queue.put_back(first);
  CHECK(waiting.all() == numbers{4, 1, 2});
}

TEST_CASE("whatever tasks had to wait for, they go by priority and number") {
  waiting_tasks waiting;
  const task_slot failed = waiting.add_usual(1);
  const task_slot given_back = waiting.add_usual(2);
  const task_slot first_of_key = waiting.add(3, {.key = "k"});
  CHECK(waiting.all() == numbers{1, 2, 3});
  waiting.add(4, {.delay = 10ms});
  waiting.add(5, {.key = "k"});
  waiting.add_usual(6);
  waiting.add(7, {.priority = 1, .delay = 10ms});
  waiting.add_usual(8);
  waiting.queue.put_off(failed, waiting.now + 10ms);
  CHECK(waiting.pass(10ms) == numbers{});
  waiting.queue.put_back(given_back);
  waiting.end(first_of_key);
  CHECK(waiting.queue.ready() == 7);
  CHECK(waiting.all() == numbers{7, 1, 2, 4, 5, 6, 8});
}

TEST_CASE("a task for a name that is put back goes by priority and number among all others") {
  waiting_tasks waiting;
  task_lane* const ada = waiting.queue.open_lane("ada");
  const task_slot back = waiting.add(2, {.to = "ada"});
  CHECK(waiting.take(ada) == back);
  waiting.add_usual(1);
  waiting.add(3, {.to = "ada"});
  waiting.add_usual(4);
  waiting.add(5, {.to = "ada", .priority = 1});
  waiting.queue.put_back(back);
  CHECK(waiting.all(ada) == numbers{5, 1, 2, 3, 4});
}

TEST_CASE("a task that was put back can be removed") {
  waiting_tasks waiting;
  const task_slot back = waiting.add_usual(1);
  CHECK(waiting.take() == back);
  waiting.queue.put_back(back);
  waiting.queue.remove(back);
  waiting.end(back);
  CHECK(waiting.queue.ready() == 0);
  CHECK(waiting.all() == numbers{});
}

TEST_CASE("a task for a name is next for that name alone") {
  waiting_tasks waiting;
  task_lane* const ada = waiting.queue.open_lane("ada");
  task_lane* const bob = waiting.queue.open_lane("bob");
  CHECK(waiting.queue.open_lane("") == nullptr);
  waiting.add(1, {.to = "bob"});
  waiting.add(2, {.to = "ada"});
  waiting.add_usual(3);
  waiting.add(4, {.to = "ada", .priority = 1});
  waiting.add(5, {.to = "nobody"});
  CHECK(waiting.all(ada) == numbers{4, 2, 3});
  CHECK(waiting.all() == numbers{});
  CHECK(waiting.all(bob) == numbers{1});
  CHECK(waiting.queue.ready() == 1);
}

TEST_CASE("who has a name gets what is for anybody in between, by priority and number") {
  waiting_tasks waiting;
  task_lane* const ada = waiting.queue.open_lane("ada");
  waiting.add(1, {.to = "ada"});
  waiting.add_usual(2);
  waiting.add(3, {.to = "ada"});
  waiting.add(4, {.priority = 2});
  CHECK(waiting.all(ada) == numbers{4, 1, 2, 3});
}

TEST_CASE("a lane lasts as long as a task or a worker of its name") {
  waiting_tasks waiting;
  const task_slot only = waiting.add(1, {.to = "ada"});
  task_lane* const ada = waiting.queue.open_lane("ada");
  CHECK(ada->users == 2);
  CHECK(waiting.take(ada) == only);
  waiting.queue.close_lane(ada);
  waiting.queue.put_back(only);
  CHECK(waiting.queue.open_lane("ada") == ada);
  CHECK(waiting.take(ada) == only);
  waiting.end(only);
  CHECK(ada->users == 1);
  waiting.queue.close_lane(ada);
}

TEST_CASE("of the tasks of a key one at a time comes up, in their order") {
  waiting_tasks waiting;
  const task_slot first = waiting.add(1, {.key = "k"});
  const task_slot second = waiting.add(2, {.key = "k", .priority = 9});
  const task_slot third = waiting.add(3, {.key = "k"});
  waiting.add(4, {.key = "other"});
  CHECK(waiting.queue.ready() == 2);
  CHECK(waiting.queue.waiting() == 4);
  CHECK(waiting.all() == numbers{1, 4});
  // Neither when it failed, nor when it was put back.
  waiting.queue.put_off(first, waiting.now + 1s);
  CHECK(waiting.all() == numbers{});
  CHECK(waiting.pass(1s) == numbers{});
  CHECK(waiting.take() == first);
  waiting.queue.put_back(first);
  CHECK(waiting.all() == numbers{1});
  waiting.end(first);
  CHECK(waiting.take() == second);
  waiting.end(second);
  CHECK(waiting.take() == third);
  waiting.end(third);
  waiting.add(5, {.key = "k"});
  CHECK(waiting.all() == numbers{5});
}

TEST_CASE("a delayed task comes up when its time has come") {
  waiting_tasks waiting;
  waiting.add(1, {.delay = 20ms});
  waiting.add(2, {.delay = 10ms});
  waiting.add_usual(3);
  CHECK(waiting.queue.delayed() == 2);
  CHECK(waiting.queue.waiting() == 1);
  CHECK(waiting.all() == numbers{3});
  CHECK(waiting.queue.next_pass() == waiting.now + 10ms);
  CHECK(waiting.pass(9ms) == numbers{});
  CHECK(waiting.all() == numbers{});
  CHECK(waiting.pass(1ms) == numbers{});
  CHECK(waiting.all() == numbers{2});
  CHECK(waiting.pass(10ms) == numbers{});
  CHECK(waiting.all() == numbers{1});
  CHECK(waiting.queue.next_pass() == task_queue::time_point::max());
}

TEST_CASE("a delayed task blocks its key, and one behind it counts its delay from the push") {
  waiting_tasks waiting;
  const task_slot first = waiting.add(1, {.key = "k", .delay = 10ms});
  waiting.add(2, {.key = "k", .delay = 15ms});
  CHECK(waiting.queue.delayed() == 1);
  CHECK(waiting.queue.waiting() == 1);
  CHECK(waiting.pass(10ms) == numbers{});
  CHECK(waiting.take() == first);
  waiting.end(first);
  CHECK(waiting.queue.delayed() == 1);
  CHECK(waiting.all() == numbers{});
  CHECK(waiting.pass(5ms) == numbers{});
  CHECK(waiting.all() == numbers{2});
}

TEST_CASE("a task whose deadline passes while it waits expires, wherever it waits") {
  waiting_tasks waiting;
  waiting.add(1, {.deadline = 10ms});
  waiting.add(2, {.delay = 20ms, .deadline = 10ms});
  const task_slot first = waiting.add(3, {.key = "k"});
  waiting.add(4, {.key = "k", .deadline = 10ms});
  waiting.add(5, {.key = "k"});
  waiting.add(6, {.to = "nobody", .deadline = 10ms});
  waiting.add(7, {.deadline = 11ms});
  CHECK(waiting.queue.next_pass() == waiting.now + 10ms);
  CHECK(waiting.pass(9ms) == numbers{});
  numbers expired = waiting.pass(1ms);
  std::sort(expired.begin(), expired.end());
  CHECK(expired == numbers{1, 2, 4, 6});
  CHECK(waiting.queue.waiting() == 3);
  CHECK(waiting.queue.delayed() == 0);
  CHECK(waiting.all() == numbers{3, 7});
  waiting.end(first);
  CHECK(waiting.all() == numbers{5});
}

TEST_CASE("no deadline passes for a task that was taken, but it does when it is back") {
  waiting_tasks waiting;
  const task_slot only = waiting.add(1, {.deadline = 10ms});
  CHECK(waiting.take() == only);
  CHECK(waiting.pass(20ms) == numbers{});
  waiting.queue.put_off(only, waiting.now + 1h);
  CHECK(waiting.pass(0ms) == numbers{1});
}

TEST_CASE("the first of a key makes way for the next when it expires") {
  waiting_tasks waiting;
  waiting.add(1, {.key = "k", .deadline = 10ms});
  waiting.add(2, {.key = "k"});
  CHECK(waiting.pass(10ms) == numbers{1});
  CHECK(waiting.all() == numbers{2});
}

TEST_CASE("the oldest that waits is known, wherever it waits") {
  waiting_tasks waiting{true};
  const task_slot first = waiting.add_usual(1);
  const task_slot second = waiting.add(2, {.key = "k", .delay = 1s});
  const task_slot third = waiting.add(3, {.key = "k"});
  const task_slot fourth = waiting.add(4, {.to = "nobody"});
  CHECK(waiting.queue.oldest() == first);
  CHECK(waiting.take() == first);
  for (const task_slot each : {second, third, fourth}) {
    CHECK(waiting.queue.oldest() == each);
    waiting.queue.remove(each);
    waiting.end(each);
  }
  CHECK(waiting.queue.oldest() == no_slot);
  waiting.queue.put_back(first);
  CHECK(waiting.queue.oldest() == first);
}

TEST_CASE("a heap of slots gives the smallest key first, whatever was taken out") {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    slot_heap heap;
    std::vector<std::pair<slot_heap::key, slot_heap::slot>> model;
    for (slot_heap::slot which = 0; which < 60; ++which) {
      const auto key = static_cast<slot_heap::key>(random() % 30);
      heap.add(which, key);
      model.emplace_back(key, which);
    }
    for (int removed = 0; removed < 30; ++removed) {
      const std::size_t at = random() % model.size();
      heap.remove(model[at].second);
      heap.remove(model[at].second);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
    }
    std::sort(model.begin(), model.end());
    CHECK(heap.size() == model.size());
    for (const auto& each : model) {
      REQUIRE(heap.first_key() == each.first);
      heap.remove(heap.first());
    }
    CHECK(heap.empty());
  }
}
