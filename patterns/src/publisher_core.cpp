// SPDX-License-Identifier: MPL-2.0
#include "publisher_core.hpp"

#include <parley/error.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after
#include <parley/socket_rest.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

// Drafts that may wait for the thread; who has more waits for it.
constexpr std::size_t most_drafts = 4096;
constexpr std::size_t most_draft_bytes = std::size_t{8} << 20;
// Enough to send, however much longer they might wait for others.
constexpr std::size_t enough_bytes = std::size_t{32} << 10;
// Taken from the socket before others get their turn.
constexpr std::size_t most_received = 1024;

int make_wake_fd() {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) {
    throw error{errc::out_of_resources, "make a wake-up descriptor"};
  }
  return fd;
}

const publisher_options& checked(const publisher_options& options) {
  const auto check = [](bool is_good, const char* what) {
    if (!is_good) {
      throw config_error{std::string{"publisher_options."} + what};
    }
  };
  check(options.limit >= 1 && options.limit_bytes >= 1 && options.total_bytes >= 1,
        "limit, limit_bytes and total_bytes must be at least 1");
  check(options.limit <= std::numeric_limits<int>::max(), "limit must be below 2^31");
  check(options.heartbeat >= std::chrono::milliseconds{10}, "heartbeat must be at least 10 ms");
  check(options.topics >= 1, "topics must be at least 1");
  check(options.away.count() >= 0 && options.max_wait.count() >= 0 &&
            options.max_age.count() >= 0 && options.history_age.count() >= 0 &&
            options.batch_delay.count() >= 0,
        "times cannot be negative");
  check(options.batch_delay <= std::chrono::seconds{1}, "batch_delay must be at most 1 s");
  return options;
}

socket_options publisher_socket(const publisher_options& options) {
  socket_options chosen;
  chosen.send_limit = static_cast<int>(std::max<std::size_t>(options.limit, 1000));
  chosen.linger = options.linger;
  chosen.all_subscriptions = true;
  chosen.private_topics = true;
  // Else a connection that it made itself and lost would keep its subscriptions.
  chosen.only_connected = true;
  chosen.max_frame_bytes = default_max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

}  // namespace

publisher_core::publisher_core(context& owner, const publisher_options& options)
    : options_{checked(options)},
      id_{call_ids{}.next() | 1},
      wake_fd_{make_wake_fd()},
      context_{owner},
      desk_{options_, id_, clock::now()} {
  try {
    socket_.emplace(owner, socket_kind::xpub, publisher_socket(options_));
    thread_ = std::thread{[this] { work(); }};
  } catch (...) {
    ::close(wake_fd_);
    throw;
  }
}

publisher_core::~publisher_core() {
  close();
  ::close(wake_fd_);
}

void publisher_core::check_open() const {
  if (is_closed_) {
    throw closed{"use a publisher"};
  }
}

void publisher_core::wake() const noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
}

endpoint publisher_core::bind(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  endpoint bound = socket_->bind(where);
  fds_.clear();
  wake();
  return bound;
}

void publisher_core::connect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  socket_->connect(where);
  fds_.clear();
  wake();
}

void publisher_core::disconnect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  socket_->disconnect(where);
  fds_.clear();
  wake();
}

monitor publisher_core::watch() {
  const std::lock_guard lock{mutex_};
  check_open();
  fds_.clear();  // it may become a socket of libzmq's just now
  wake();
  return monitor{context_, *socket_};
}

void publisher_core::on_demand(
    std::function<void(std::string_view prefix, bool is_wanted)> handler) {
  const std::lock_guard lock{mutex_};
  on_demand_ = std::move(handler);
}

std::uint64_t publisher_core::publish(std::string_view topic, std::string_view body,
                                      const frame* whole, bool is_urgent) {
  if (body.size() >= feed_bundle::large_body) [[unlikely]] {
    return publish_large(topic, whole != nullptr ? frame{*whole} : frame{body}, is_urgent);
  }
  std::unique_lock lock = lock_for_draft();
  bundle_for(is_urgent, topic.size(), body.size()).add(topic, body);
  const std::uint64_t sequence = (is_urgent ? next_urgent_ : next_)++;
  count_draft(lock, topic.size() + body.size());
  return sequence;
}

std::uint64_t publisher_core::publish_large(std::string_view topic, frame&& body, bool is_urgent) {
  std::unique_lock lock = lock_for_draft();
  const std::size_t size = body.size();
  bundle_for(is_urgent, topic.size(), size).add({.topic = topic}, std::move(body));
  const std::uint64_t sequence = (is_urgent ? next_urgent_ : next_)++;
  count_draft(lock, topic.size() + size);
  return sequence;
}

void publisher_core::relay(const feed_entry& message, frame&& body) {
  std::unique_lock lock = lock_for_draft();
  const std::size_t size = body.size();
  bundle_for(message.is_urgent, message.topic.size(), size).add(message, std::move(body));
  ++(message.is_urgent ? next_urgent_ : next_);
  count_draft(lock, message.topic.size() + size);
}

void publisher_core::relay_loss(const feed_entry& lost) {
  std::unique_lock lock = lock_for_draft();
  drafts_.emplace_back(new feed_bundle{lost});
  count_draft(lock, lost.topic.size());
}

void publisher_core::begin_bundle(bool is_urgent) {
  drafts_.emplace_back(
      new feed_bundle{is_urgent, is_urgent ? next_urgent_ : next_, usual_bytes_, usual_parts_});
}

std::unique_lock<std::mutex> publisher_core::lock_for_draft() {
  std::unique_lock lock{drafts_mutex_};
  const auto has_room = [this] {
    return is_closing_ || (draft_count_ < std::min(most_drafts, options_.limit) &&
                           draft_bytes_ < most_draft_bytes);
  };
  if (!has_room()) [[unlikely]] {
    ++without_room_;
    room_.wait(lock, has_room);
    --without_room_;
  }
  if (is_closing_) {
    throw closed{"publish"};
  }
  return lock;
}

void publisher_core::count_draft(std::unique_lock<std::mutex>& lock, std::size_t bytes) {
  const std::size_t count = draft_count_.load(std::memory_order_relaxed) + 1;
  draft_count_.store(count, std::memory_order_relaxed);
  if (count == 1 && options_.batch_delay.count() > 0) {
    first_draft_ = clock::now();
  }
  draft_bytes_ += bytes;
  const bool is_enough =
      options_.batch_delay.count() == 0 || count == 1 || draft_bytes_ >= enough_bytes;
  if (sleeps_ && is_enough) {
    sleeps_ = false;
    lock.unlock();
    wake();
  }
}

bool publisher_core::wait_until_delivered(time_point deadline) const {
  std::uint64_t last = 0;
  std::uint64_t last_urgent = 0;
  {
    const std::lock_guard lock{drafts_mutex_};
    last = next_ - 1;
    last_urgent = next_urgent_ - 1;
  }
  return wait_until(deadline, [&](const feed_desk& desk) {
    return desk.has_seen(last, last_urgent) && desk.has_all_received(last, last_urgent);
  });
}

void publisher_core::close() noexcept {
  const std::lock_guard joining{joining_};
  {
    const std::lock_guard lock{drafts_mutex_};
    is_closing_ = true;
  }
  room_.notify_all();
  wake();
  if (thread_.joinable()) {
    thread_.join();
  }
}

// The thread.

void publisher_core::work() noexcept {
  try {
    serve();
  } catch (const error&) {
    // The context was shut down.
  } catch (const std::bad_alloc&) {
    // Nothing can be sent any more.
  }
  {
    const std::lock_guard lock{drafts_mutex_};
    is_closing_ = true;
  }
  room_.notify_all();
  const std::lock_guard lock{mutex_};
  is_closed_ = true;
  socket_.reset();
  changed_.notify_all();
}

void publisher_core::serve() {
  std::optional<time_point> end;
  for (;;) {
    const time_point now = clock::now();
    // What was published before somebody joined is published when he joins. The last round finds
    // nothing: libzmq's descriptor tells of a change but once, to whoever looks next.
    const bool has_received = receive();
    const bool has_published = take_drafts(now);
    const bool has_sent = send(now);
    if (!end) {
      const std::lock_guard lock{drafts_mutex_};
      if (is_closing_) {
        end = deadline_after(options_.linger);
      }
    }
    if (end) {
      const std::scoped_lock both{mutex_, drafts_mutex_};
      if (now >= *end ||
          (next_taken_ == taken_.size() && drafts_.empty() && desk_.has_all_sent())) {
        return;
      }
    }
    if (has_published) {
      linger();
    } else if (!has_received && !has_sent) {
      sleep(end.value_or(time_point::max()));
    }
  }
}

// Who publishes mostly goes on: letting others run costs it less than waking this thread.
void publisher_core::linger() const noexcept {
  constexpr int most_yields = 20;
  for (int count = 0; count < most_yields && draft_count_.load(std::memory_order_relaxed) == 0;
       ++count) {
    std::this_thread::yield();
  }
}

// With the lock on the drafts.
bool publisher_core::may_take(time_point now) const {
  if (drafts_.empty()) {
    return false;
  }
  return is_closing_ || options_.batch_delay.count() == 0 || draft_bytes_ >= enough_bytes ||
         draft_count_ >= std::min(most_drafts, options_.limit) ||
         now >= first_draft_ + options_.batch_delay;
}

// With the lock on the desk. Nothing more is taken, until somebody has room or waited long enough.
bool publisher_core::must_wait() const {
  return options_.when_lagging == lag_policy::wait && desk_.is_full();
}

// True: something was published.
bool publisher_core::take_drafts(time_point now) {
  if (next_taken_ == taken_.size()) {
    taken_.clear();
    next_taken_ = 0;
    const std::lock_guard lock{drafts_mutex_};
    if (!may_take(now)) {
      return false;
    }
    drafts_.swap(taken_);
    draft_count_.store(0, std::memory_order_relaxed);
    draft_bytes_ = 0;
    usual_bytes_ = taken_.front()->bytes.size();
    usual_parts_ = taken_.front()->size();
    if (without_room_ > 0) {
      room_.notify_all();
    }
  }
  const std::lock_guard lock{mutex_};
  const bool waits = options_.when_lagging == lag_policy::wait && !(overdue_ && now >= *overdue_);
  bool has_published = false;
  while (next_taken_ < taken_.size()) {
    const feed_ref& next = taken_[next_taken_];
    next->fit();
    const std::uint32_t end = desk_.publish(next, next_part_, waits, now);
    has_published = has_published || end > next_part_;
    next_part_ = end;
    if (end < next->size()) {
      break;  // somebody has no room
    }
    ++next_taken_;
    next_part_ = 0;
  }
  if (has_published) {
    overdue_.reset();
  }
  if (next_taken_ < taken_.size() && !overdue_) {
    overdue_ = deadline_after(options_.max_wait);
  }
  return has_published;
}

// True: something came.
bool publisher_core::receive() {
  const std::lock_guard lock{mutex_};
  for (std::size_t count = 0; count < most_received; ++count) {
    const auto incoming = socket_->try_receive();
    if (!incoming) {
      return count > 0;
    }
    desk_.receive(*incoming, clock::now());
  }
  return true;
}

// True: something was sent.
bool publisher_core::send(time_point now) {
  const std::lock_guard lock{mutex_};
  bool has_sent = false;
  desk_.flush(now, [&](message&& outgoing) {
    socket_->send(std::move(outgoing));
    has_sent = true;
  });
  if (waiting_ > 0) {
    changed_.notify_all();  // also of what was published
  }
  if (on_demand_) {
    for (const auto& [prefix, is_wanted] : desk_.take_demand()) {
      on_demand_(prefix, is_wanted);
    }
  }
  return has_sent;
}

void publisher_core::sleep(time_point until) {
  std::vector<pollfd> waited;
  waited.push_back({wake_fd_, POLLIN, 0});
  bool is_full = false;
  {
    const std::lock_guard lock{mutex_};
    if (socket_rest::begin(*socket_).receive) {
      return;
    }
    if (fds_.empty()) {
      fds_ = socket_rest::fds(*socket_);
    }
    for (const int fd : fds_) {
      waited.push_back({fd, POLLIN, 0});
    }
    until = std::min(until, desk_.next_look());
    is_full = must_wait();
  }
  bool is_awake = false;
  {
    const std::lock_guard lock{drafts_mutex_};
    if (!drafts_.empty() && options_.batch_delay.count() > 0) {
      until = std::min(until, first_draft_ + options_.batch_delay);
    }
    if (next_taken_ < taken_.size()) {
      is_awake = !is_full;
      until = std::min(until, overdue_.value_or(time_point::max()));
    } else {
      is_awake = may_take(clock::now());
    }
    sleeps_ = !is_awake;
  }
  if (!is_awake) {
    const auto left = std::max(until - clock::now(), clock::duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{static_cast<time_t>(seconds.count()),
                         static_cast<long>((left - seconds).count())};
    static_cast<void>(::ppoll(waited.data(), waited.size(),
                              until == time_point::max() ? nullptr : &limit, nullptr));
    if (waited.front().revents != 0) {
      std::uint64_t count = 0;
      static_cast<void>(!::read(wake_fd_, &count, sizeof count));
    }
    const std::lock_guard lock{drafts_mutex_};
    sleeps_ = false;
  }
  const std::lock_guard lock{mutex_};
  socket_rest::end(*socket_);
}

}  // namespace parley::detail
