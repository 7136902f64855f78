// SPDX-License-Identifier: MPL-2.0
#include <parley/proxy.hpp>

#include <parley/error.hpp>
#include <parley/pipe/doorbell.hpp>
#include <parley/poller.hpp>

#include "socket_counters.hpp"

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace parley {
namespace {

// Messages in one direction before the other has its turn.
constexpr int burst = 64;

bool receives(socket_kind kind) { return kind != socket_kind::push && kind != socket_kind::pub; }
bool sends(socket_kind kind) { return kind != socket_kind::pull && kind != socket_kind::sub; }

// Sends and receives by turns, so that it can only be joined to one whose turns are the opposite.
bool takes_turns(socket_kind kind) { return kind == socket_kind::req || kind == socket_kind::rep; }
bool go_together(socket_kind one, socket_kind other) {
  return takes_turns(one) ? takes_turns(other) && one != other : !takes_turns(other);
}

// One direction. Used by the forwarding thread, its counters by any.
class lane {
 public:
  lane(proxy_way way, socket& from, socket& to)
      : way_{way}, from_{from}, to_{to}, is_used_{receives(from.kind()) && sends(to.kind())} {}

  [[nodiscard]] bool is_used() const noexcept { return is_used_; }

  // False: nothing to do until there is room, or a message.
  template<class MayGoOn>
  bool forward(const proxy::capture& on_message, MayGoOn may_go_on) {
    if (!is_used_) {
      return false;
    }
    for (int left = burst; left > 0; --left) {
      if (!may_go_on() || !fetch()) {
        return left < burst;
      }
      show(on_message);
      // Once more: who paused before the message was sent must not see it pass.
      if (!may_go_on() || !pass_on()) {
        return false;
      }
    }
    return true;
  }

  // The message in hand, if there is one and its way is open.
  void empty_hand() {
    if (!hand_.empty()) {
      static_cast<void>(pass_on());
    }
  }

  // What forward needs to go on, when it said that there is nothing to do.
  void await(poller& waiting) {
    if (!is_used_) {
      return;
    }
    const bool reads = hand_.empty() && has_way();
    const interest what = reads ? interest::input : interest::output;
    if (key_ != 0 && what == awaited_) {
      return;
    }
    forget(waiting);
    awaited_ = what;
    key_ = waiting.add(reads ? from_ : to_, what, [] {});
  }
  void forget(poller& waiting) { waiting.remove(std::exchange(key_, 0)); }

  [[nodiscard]] proxy_statistics::way statistics() const noexcept {
    return {.messages = messages_.value(),
            .bytes = bytes_.value(),
            .dropped = dropped_.value(),
            .in_hand = is_in_hand_.load(std::memory_order_relaxed)};
  }

 private:
  // A router says for each message whether there is a way; waiting for it would hold up the others.
  [[nodiscard]] bool has_way() { return to_.kind() == socket_kind::router || to_.can_send(); }

  [[nodiscard]] bool fetch() {
    if (!hand_.empty()) {
      return true;
    }
    // A relaxed req can always send, also while the rep must not be asked for the next request.
    if (!has_way() || (from_.kind() == socket_kind::rep && !from_.can_receive())) {
      return false;
    }
    auto incoming = from_.try_receive();
    if (!incoming) {
      return false;
    }
    hand_ = std::move(*incoming);
    is_shown_ = false;
    is_in_hand_.store(1, std::memory_order_relaxed);  // a figure
    return true;
  }

  void show(const proxy::capture& on_message) {
    if (on_message && !is_shown_) {
      on_message(way_, hand_);
    }
    is_shown_ = true;
  }

  [[nodiscard]] bool pass_on() {
    const std::size_t bytes = hand_.bytes();
    if (to_.try_send(std::move(hand_))) {
      messages_.add(1);
      bytes_.add(bytes);
    } else if (to_.kind() == socket_kind::router) {
      dropped_.add(1);
    } else {
      return false;
    }
    hand_.clear();
    is_in_hand_.store(0, std::memory_order_relaxed);  // a figure
    return true;
  }

  const proxy_way way_;
  socket& from_;
  socket& to_;
  const bool is_used_;
  message hand_;
  bool is_shown_ = false;  // hand_, to the capture
  interest awaited_ = interest::input;
  poller::key key_ = 0;
  detail::counter messages_, bytes_, dropped_;
  std::atomic<std::size_t> is_in_hand_{0};
};

}  // namespace

struct proxy::state {
  state(socket& front, socket& back, capture see)
      : to_back{proxy_way::to_back, front, back},
        to_front{proxy_way::to_front, back, front},
        on_message{std::move(see)} {}

  void run(const std::stop_token& stop);

  lane to_back;
  lane to_front;
  const capture on_message;
  std::atomic<bool> is_paused{false};
  doorbell paused_bell;  // the forwarding thread's; rung when is_paused changes

  // Of start and stop.
  std::mutex mutex;
  std::condition_variable ended;
  bool is_running = false;
  std::exception_ptr failure;
  std::jthread thread;
};

void proxy::state::run(const std::stop_token& stop) {
  poller waiting;
  // Their places were in the poller of the run before.
  to_back.forget(waiting);
  to_front.forget(waiting);
  bool was_paused = false;
  // Relaxed: a message that was sent after pause brings is_paused with it.
  const auto is_paused_now = [&] { return is_paused.load(std::memory_order_relaxed); };
  waiting.add(
      paused_bell, [&] { return is_paused_now() != was_paused; }, [] {});
  const auto may_go_on = [&] { return !is_paused_now() && !stop.stop_requested(); };
  while (!stop.stop_requested()) {
    was_paused = is_paused_now();
    if (was_paused) {
      to_back.forget(waiting);
      to_front.forget(waiting);
      waiting.wait(stop);
      continue;
    }
    const bool moved_back = to_back.forward(on_message, may_go_on);
    const bool moved_front = to_front.forward(on_message, may_go_on);
    if (!moved_back && !moved_front && may_go_on()) {
      to_back.await(waiting);
      to_front.await(waiting);
      waiting.wait(stop);
    }
  }
  to_back.empty_hand();
  to_front.empty_hand();
}

proxy::proxy(socket& front, socket& back, capture on_message)
    : state_{new state{front, back, std::move(on_message)}} {
  assert(&front != &back);
  const bool has_way = state_->to_back.is_used() || state_->to_front.is_used();
  if (!has_way || !go_together(front.kind(), back.kind())) {
    throw error{errc::unsupported, std::string{"proxy between "}
                                       .append(to_string(front.kind()))
                                       .append(" and ")
                                       .append(to_string(back.kind()))
                                       .append(" sockets")};
  }
}

proxy::~proxy() {
  if (!state_.is_here()) {
    return;
  }
  try {
    stop();
  } catch (...) {
    // Whoever wants to know calls stop.
  }
}

void proxy::run(const std::stop_token& stop) { state_->run(stop); }

void proxy::start() {
  std::unique_lock lock{state_->mutex};
  assert(state_->thread.get_id() != std::this_thread::get_id());
  if (state_->is_running && !state_->thread.get_stop_token().stop_requested()) {
    return;
  }
  state_->ended.wait(lock, [this] { return !state_->is_running; });
  if (state_->thread.joinable()) {
    state_->thread.join();  // it has ended
  }
  state_->failure = nullptr;
  state_->thread = std::jthread{[this](const std::stop_token& stop) {
    std::exception_ptr failure;
    try {
      state_->run(stop);
    } catch (const closed&) {
      // The end of the context is the end of this.
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard ending{state_->mutex};
    state_->failure = std::move(failure);
    state_->is_running = false;
    state_->ended.notify_all();
  }};
  state_->is_running = true;  // not before there is a thread that will end: making one may fail
}

void proxy::stop() {
  std::unique_lock lock{state_->mutex};
  state_->thread.request_stop();
  if (state_->thread.get_id() == std::this_thread::get_id()) {
    return;
  }
  state_->ended.wait(lock, [this] { return !state_->is_running; });
  if (auto failure = std::exchange(state_->failure, nullptr)) {
    std::rethrow_exception(failure);
  }
}

void proxy::pause() {
  state_->is_paused.store(true, std::memory_order_relaxed);
  state_->paused_bell.ring();
}

void proxy::resume() {
  state_->is_paused.store(false, std::memory_order_relaxed);
  state_->paused_bell.ring();
}

proxy_statistics proxy::statistics() const {
  return {.to_back = state_->to_back.statistics(), .to_front = state_->to_front.statistics()};
}

}  // namespace parley
