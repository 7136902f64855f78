// SPDX-License-Identifier: MPL-2.0
#include <parley/doorkeeper.hpp>
#include <parley/error.hpp>
#include <parley/poller.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>

#include "zap.hpp"
#include "zmq_context.hpp"

namespace parley::detail {
namespace {

constexpr const char* zap_handler = "inproc://zeromq.zap.01";  // where libzmq asks

}  // namespace

// The last one's end and the next one's beginning do not overlap: both need the same name.
std::shared_ptr<doorkeeper> doorkeeper::of(context& owner) {
  zmq_context::door& door = owner.libzmq().front_door();
  std::unique_lock lock{door.mutex};
  std::shared_ptr<doorkeeper> found;
  door.changed.wait(lock, [&] { return (found = door.keeper.lock()) || !door.is_kept; });
  if (!found) {
    // The context stays as long as its door is used.
    found = {new doorkeeper{owner}, [owner, &door](doorkeeper* leaving) {
               const std::lock_guard closing{door.mutex};
               delete leaving;
               door.keeper.reset();  // it would keep this function, and so the context, for ever
               door.is_kept = false;
               door.changed.notify_all();
             }};
    door.keeper = found;
    door.is_kept = true;
  }
  return found;
}

doorkeeper::doorkeeper(context& owner)
    : requests_{owner, socket_kind::rep}, stop_fd_{::eventfd(0, EFD_CLOEXEC)} {
  if (stop_fd_ < 0) {
    throw error{errc::out_of_resources, "answer who may connect"};
  }
  try {
    requests_.bind(zap_handler);
    thread_ = std::thread{[this] { answer(); }};
  } catch (...) {
    ::close(stop_fd_);
    throw;
  }
}

doorkeeper::~doorkeeper() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(stop_fd_, &one, sizeof one));
  thread_.join();
  ::close(stop_fd_);
}

void doorkeeper::answer() {
  try {
    bool stopping = false;
    poller waiting;
    waiting.add(stop_fd_, interest::input, [&] { stopping = true; });
    waiting.add(requests_, interest::input, [&] { static_cast<void>(answer_one()); });
    while (!stopping) {
      waiting.wait();
    }
    // Who has asked gets an answer, or its handshake would stand until libzmq gives it up, after
    // 30 s.
    requests_.unbind(zap_handler);
    while (answer_one()) {
    }
  } catch (const closed&) {
    // The context was shut down: nobody asks any more.
  }
}

// False: nobody asks.
bool doorkeeper::answer_one() {
  const auto received = requests_.try_receive();
  if (!received) {
    return false;
  }
  const auto request = parse_zap_request(*received);
  if (!request) {
    // A reply is due all the same, else the socket is stuck; libzmq refuses what it cannot read.
    requests_.send(message{""});
  } else if (request->is_plain) {
    requests_.send(zap_reply(*request, true, ""));  // none of our business
  } else {
    const bool comes_in = request->client && lets_in(*request->client);
    requests_.send(zap_reply(*request, comes_in, comes_in ? request->client->z85() : ""));
  }
  return true;
}

bool doorkeeper::lets_in(const curve_key& client) {
  const std::shared_lock lock{mutex_};
  return list_ == nullptr ? is_open_ : list_->lets_in(client);
}

bool doorkeeper::holds(const curve_key& key) {
  const std::shared_lock lock{mutex_};
  return list_ == nullptr ? is_open_ : list_->holds(key);
}

void doorkeeper::obey(guest_list& list) {
  const std::lock_guard lock{mutex_};
  if (list_ != nullptr) {
    throw error{errc::cannot_bind, "a second allow list in one context"};
  }
  list_ = &list;
  is_open_ = false;
}

void doorkeeper::obey_nobody() noexcept {
  const std::lock_guard lock{mutex_};
  list_ = nullptr;
}

}  // namespace parley::detail
