// SPDX-License-Identifier: MPL-2.0
#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace model {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  hash ^= hash >> 31;
  hash *= 0xbf58476d1ce4e5b9;
  return hash ^ (hash >> 29);
}

// Not a defect of the code: the explorer starts over without that short cut.
constexpr const char* claim_was_wrong = "two threads store what one loads without a stop";

bool acquires(strength order) {
  return order == strength::acquire || order == strength::acquire_release;
}
bool releases(strength order) {
  return order == strength::release || order == strength::acquire_release;
}

}  // namespace

machine& machine::get() {
  static machine only;
  return only;
}

std::size_t machine::add_variable(std::uint64_t value) {
  variables_.push_back({.value = value});
  return variables_.size() - 1;
}

// The fiber waits here until the explorer lets its next step happen. After its first entry a fiber
// is left and entered by jumps, which save the system calls of swapcontext.
void machine::stop_before(operation next, std::size_t object) {
  auto& self = threads_[current_];
  self.next = next;
  self.object = object;
  if (_setjmp(self.position) == 0) _longjmp(explorer_, 1);
}

void machine::resume(thread_state& thread) {
  if (_setjmp(explorer_) != 0) return;
  if (thread.started) _longjmp(thread.position, 1);
  thread.started = true;
  swapcontext(&unused_, &thread.context);
}

bool machine::enabled(const thread_state& thread) const {
  // All but loads wait for the thread's own stores to take effect.
  if (thread.next != operation::start && thread.next != operation::load && !thread.buffer.empty()) {
    return false;
  }
  switch (thread.next) {
    case operation::lock:
      return variables_[thread.object].value == 0;
    case operation::barrier_end:
      return std::none_of(threads_.begin(), threads_.end(),
                          [](const thread_state& each) { return each.must_fence; });
    case operation::poll:
      return events_[thread.object] != 0 || (poll_may_return_early_ && !thread.early_return_used);
    default:
      return true;
  }
}

void machine::observe(std::uint64_t value) {
  auto& self = threads_[current_];
  self.history = mix(self.history, value);
  trace_.back().value = value;
}

void machine::settle(std::initializer_list<std::uint64_t> local_state) {
  auto& history = threads_[current_].history;
  history = 0;
  for (const auto value : local_state)
    history = mix(history, value);
}

std::uint64_t machine::load(std::size_t variable, strength order) {
  if (current_ == nobody) return variables_[variable].value;
  // A thread's look at what only it ever stores commutes with all that others do.
  const bool own = order == strength::relaxed && variables_[variable].stored_by == current_ &&
                   !shared_.contains(variable);
  if (own) {
    variables_[variable].claimed_by = current_;
  } else {
    stop_before(operation::load, variable);
  }
  auto& self = threads_[current_];
  const auto newest =
      std::find_if(self.buffer.rbegin(), self.buffer.rend(),
                   [&](const pending_store& each) { return each.variable == variable; });
  if (newest != self.buffer.rend()) {
    if (!own) observe(newest->value);
    return newest->value;
  }
  if (acquires(order) && !broken.relaxed_loads) self.known |= variables_[variable].known;
  if (!own) observe(variables_[variable].value);
  return variables_[variable].value;
}

void machine::store(std::size_t variable, std::uint64_t value, strength order) {
  if (current_ == nobody) {
    variables_[variable].value = value;
    return;
  }
  auto& target = variables_[variable];
  if (target.claimed_by != nobody && target.claimed_by != current_) {
    check(!shared_.insert(variable).second, claim_was_wrong);
  }
  target.stored_by =
      target.stored_by == nobody || target.stored_by == current_ ? current_ : most_threads + 1;
  auto& self = threads_[current_];
  ++self.fresh;
  self.buffer.push_back(
      {variable, value, releases(order) && !broken.relaxed_stores ? self.known : 0});
}

std::uint64_t machine::modify(std::size_t variable, strength order,
                              const std::function<std::uint64_t(std::uint64_t)>& change) {
  auto& target = variables_[variable];
  if (current_ == nobody) return std::exchange(target.value, change(target.value));
  if (order == strength::relaxed) {
    target.counter = true;
    return std::exchange(target.value, change(target.value));
  }
  stop_before(operation::modify, variable);
  auto& now = variables_[variable];
  if (now.claimed_by != nobody && now.claimed_by != current_) {
    check(!shared_.insert(variable).second, claim_was_wrong);
  }
  now.stored_by = most_threads + 1;
  auto& self = threads_[current_];
  if (acquires(order)) self.known |= now.known;
  // Whoever acquires it later also acquires what was released into it before.
  if (releases(order)) now.known |= self.known;
  const auto before = std::exchange(now.value, change(now.value));
  observe(before);
  return before;
}

void machine::lock(std::size_t variable) {
  if (current_ == nobody) return;
  stop_before(operation::lock, variable);
  variables_[variable].value = 1;
  threads_[current_].known |= variables_[variable].known;
  observe(0);
}

void machine::membarrier() {
  if (current_ == nobody || broken.empty_membarrier) return;
  stop_before(operation::barrier, 0);
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i].must_fence = i != current_;
  }
  observe(0);
  stop_before(operation::barrier_end, 0);
  observe(0);
}

int machine::make_event() {
  events_.push_back(0);
  return static_cast<int>(events_.size()) - 1;
}

void machine::write_event(int event) {
  const auto at = static_cast<std::size_t>(event);
  if (current_ != nobody) stop_before(operation::write, at);
  check(events_[at] == 0, "a descriptor is written twice");
  ++events_[at];
  if (current_ != nobody) observe(0);
}

bool machine::read_event(int event) {
  const auto at = static_cast<std::size_t>(event);
  if (current_ != nobody) stop_before(operation::read, at);
  const bool was_set = std::exchange(events_[at], 0) != 0;
  if (current_ != nobody) observe(was_set);
  return was_set;
}

void machine::poll_event(int event) {
  const auto at = static_cast<std::size_t>(event);
  const std::size_t self = current_;
  check(self != nobody, "nobody is there to wait");
  stop_before(operation::poll, at);
  if (events_[at] == 0) threads_[self].early_return_used = true;
  observe(events_[at]);
}

bool machine::on_a_stack(const void* address) const {
  const auto* const byte = static_cast<const char*>(address);
  return std::any_of(stacks_.begin(), stacks_.end(), [&](const std::vector<char>& stack) {
    return !stack.empty() && byte >= stack.data() && byte < stack.data() + stack.size();
  });
}

std::size_t machine::bit_of(const void* cell) {
  const auto at = cells_.try_emplace(cell, 2 * cells_.size()).first->second;
  check(at < 64, "too many cells for the model");
  return at;
}

void machine::forget(knowledge bits) {
  for (auto& thread : threads_) {
    thread.known &= ~bits;
    for (auto& each : thread.buffer)
      each.known &= ~bits;
  }
  for (auto& variable : variables_)
    variable.known &= ~bits;
}

void machine::plain_write(const void* cell) {
  if (current_ == nobody || on_a_stack(cell)) return;
  const knowledge bits = knowledge{3} << bit_of(cell);
  check((threads_[current_].known & bits) == bits, "race: a write beside an access of another");
  forget(bits);
  threads_[current_].known |= bits;
}

void machine::plain_read(const void* cell) {
  if (current_ == nobody || on_a_stack(cell)) return;
  const std::size_t at = bit_of(cell);
  check((threads_[current_].known >> at & 1) != 0, "race: a read beside a write of another");
  forget(knowledge{2} << at);
  threads_[current_].known |= knowledge{2} << at;
}

void machine::check(bool held, const char* what) {
  if (!held && failure_.empty()) failure_ = what;
}

void machine::flush_one(thread_state& thread) {
  const pending_store first = thread.buffer.front();
  thread.buffer.erase(thread.buffer.begin());
  thread.fresh = std::min(thread.fresh, thread.buffer.size());
  variables_[first.variable].value = first.value;
  variables_[first.variable].known = first.known;  // a plain store ends the release sequence
}

const std::vector<machine::choice>& machine::options() {
  options_.clear();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    const auto& each = threads_[i];
    if (!each.done && enabled(each)) options_.push_back({i, action::run});
    if (!each.buffer.empty()) options_.push_back({i, action::flush});
    // The fence may come before the fresh stores.
    if (each.must_fence && each.buffer.size() == each.fresh) options_.push_back({i, action::fence});
  }
  return options_;
}

std::uint64_t machine::hash() const {
  std::uint64_t result = 0;
  for (const auto& thread : threads_) {
    result = mix(result, thread.history);
    result = mix(result, thread.known);
    result = mix(result, (thread.done ? 1u : 0u) | (thread.must_fence ? 2u : 0u) |
                             (thread.early_return_used ? 4u : 0u));
    result = mix(mix(result, thread.buffer.size()), thread.must_fence ? thread.fresh : 0);
    for (const auto& each : thread.buffer) {
      result = mix(mix(mix(result, each.variable), each.value), each.known);
    }
  }
  for (const auto& variable : variables_) {
    if (!variable.counter) result = mix(mix(result, variable.value), variable.known);
  }
  for (const auto event : events_)
    result = mix(result, event);
  return result;
}

void machine::enter() {
  machine& self = get();
  self.threads_[self.current_].body();
  self.threads_[self.current_].done = true;
  _longjmp(self.explorer_, 1);
}

std::string machine::describe(const step& each) {
  const std::string who = "thread " + std::to_string(each.thread) + ": ";
  const std::string object = ' ' + std::to_string(each.object);
  const std::string value = ' ' + std::to_string(each.value);
  if (each.what == action::flush) return who + "its store to" + object + " takes effect:" + value;
  if (each.what == action::fence) return who + "empties its buffer for membarrier";
  switch (each.next) {
    case operation::start:
      return who + "starts";
    case operation::load:
      return who + "loads" + object + ", gets" + value;
    case operation::modify:
      return who + "modifies" + object + ", which was" + value;
    case operation::lock:
      return who + "locks" + object;
    case operation::barrier:
      return who + "calls membarrier";
    case operation::barrier_end:
      return who + "returns from membarrier";
    case operation::write:
      return who + "writes descriptor" + object;
    case operation::read:
      return who + "reads descriptor" + object + ", gets" + value;
    case operation::poll:
      return who + "has polled descriptor" + object + ", gets" + value;
  }
  return who;
}

// Follows path as far as it goes, then takes the first option everywhere and adds it to path.
void machine::run_once(const std::function<scene()>& make_scene, std::vector<branch>& path) {
  threads_.clear();  // and with them the pipe of the last execution, while its variables are there
  variables_.clear();
  events_.clear();
  cells_.clear();
  trace_.clear();
  current_ = nobody;
  scene stage = make_scene();
  poll_may_return_early_ = stage.poll_may_return_early;
  threads_ = std::vector<thread_state>(stage.threads.size());
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    auto& each = threads_[i];
    stacks_[i].resize(stack_size);
    each.body = stage.threads[i];
    getcontext(&each.context);
    each.context.uc_stack.ss_sp = stacks_[i].data();
    each.context.uc_stack.ss_size = stack_size;
    each.context.uc_link = nullptr;
    makecontext(&each.context, enter, 0);
  }
  for (std::size_t depth = 0; failure_.empty(); ++depth) {
    const auto& can = options();
    if (can.empty()) {
      check(std::all_of(threads_.begin(), threads_.end(),
                        [](const thread_state& each) { return each.done; }),
            "stuck: somebody waits for a wake that never comes");
      if (failure_.empty()) stage.at_end();
      for (const auto event : events_)
        check(event == 0, "a descriptor stays readable");
      return;
    }
    if (depth == path.size()) {
      if (!seen_.insert(hash()).second) return;  // others have continued from here
      path.push_back({0, can.size()});
    }
    const choice next = can[path[depth].taken];
    auto& thread = threads_[next.thread];
    trace_.push_back({next.thread, next.what, thread.next, thread.object, 0});
    switch (next.what) {
      case action::run:
        thread.history = mix(thread.history, 1);
        thread.fresh = 0;
        current_ = next.thread;
        resume(thread);
        current_ = nobody;
        break;
      case action::flush:
        trace_.back().object = thread.buffer.front().variable;
        trace_.back().value = thread.buffer.front().value;
        flush_one(thread);
        break;
      case action::fence:
        thread.must_fence = false;
        break;
    }
  }
}

machine::outcome machine::explore(const std::function<scene()>& make_scene) {
  outcome result;
  seen_.clear();
  shared_.clear();
  failure_.clear();
  std::vector<branch> path;
  for (;;) {
    run_once(make_scene, path);
    ++result.executions;
    if (failure_ == claim_was_wrong) {
      seen_.clear();
      failure_.clear();
      path.clear();
      continue;
    }
    while (!path.empty() && path.back().taken + 1 == path.back().options)
      path.pop_back();
    if (path.empty() || !failure_.empty()) break;
    ++path.back().taken;
  }
  threads_.clear();
  result.failure = failure_;
  if (!failure_.empty()) {
    for (const auto& each : trace_)
      result.trace.push_back(describe(each));
  }
  result.states = seen_.size();
  return result;
}

}  // namespace model
