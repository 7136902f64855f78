// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/subscriber.hpp>

#include "call_ids.hpp"
#include "feed_reader.hpp"
#include "named_ends.hpp"
#include "shared_socket.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace parley {
namespace {

using detail::deadline_after;
using detail::feed_reader;
using clock = std::chrono::steady_clock;
using time_point = detail::shared_socket::time_point;

// How long the last words may take to leave.
constexpr std::chrono::milliseconds last_words{100};
// Links for which what was said last stays said.
constexpr std::size_t most_said = 2 * feed_reader::most_publishers;
// Taken from the socket at a time.
constexpr std::size_t most_at_once = 128;

socket_options subscriber_socket(const subscriber_options& options) {
  constexpr std::size_t most = 1U << 30;
  socket_options chosen;
  // A publisher keeps to the limit itself; the messages of a plain one count here alone.
  chosen.receive_limit = static_cast<int>(std::min(options.limit, most) + feed_reader::reserve);
  // A connection begins with all subscriptions, and libzmq forgets those that exceed the limit.
  chosen.send_limit = 1'000'000;
  chosen.linger = last_words;
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

void check_prefix(std::string_view prefix) {
  if (prefix.size() > 0xffff || prefix.starts_with(detail::feed_octet)) {
    throw config_error{
        "subscribe to a prefix of more than 65,535 octets, or that begins with octet 1"};
  }
}

}  // namespace

// One thread at a time leads: it takes what comes from the socket, outside the mutex, and hands it
// to the reader. The others wait until it has.
struct subscriber::state {
  state(context& owner, const subscriber_options& options)
      : link{owner, socket_kind::xsub, subscriber_socket(options)},
        id{detail::call_ids{}.next()},
        reader{id, options, clock::now()},
        names{owner} {
    link.with([&](socket& native) {
      native.subscribe(detail::wishes_topic(reader.wishes()));
      native.subscribe(detail::inbox_topic(id));
    });
  }
  ~state() { close(); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  void look_for_more() {
    const std::lock_guard lock{mutex};
    reader.look_for_more(clock::now());
  }

  void check_open() const {
    if (is_closed) {
      throw closed{"use a subscriber"};
    }
  }

  // Says what is to be said to the publishers. Needs the mutex.
  void send_requests() {
    std::vector<detail::feed_request>& requests = reader.requests();
    if (requests.empty()) {
      return;
    }
    link.with([&](socket& native) {
      for (const detail::feed_request& each : requests) {
        std::string& said = said_of[each.link];
        std::string topic = detail::request_topic(each);
        native.subscribe(topic);
        if (!said.empty()) {
          native.unsubscribe(said);
        }
        said = std::move(topic);
      }
      while (said_of.size() > most_said) {
        native.unsubscribe(said_of.begin()->second);
        said_of.erase(said_of.begin());
      }
    });
    requests.clear();
  }

  // Runs without the mutex, and nobody else takes anything meanwhile.
  void tell(std::unique_lock<std::mutex>& lock) {
    if (!handler) {
      return;
    }
    struct telling {
      state& self;
      std::unique_lock<std::mutex>& lock;
      ~telling() {
        lock.lock();
        self.is_telling = false;
        self.wake_waiting();
      }
    };
    is_telling = true;
    lock.unlock();
    const telling until_told{*this, lock};
    handler(event);
  }

  void wake_waiting() {
    if (waiting > 0) {
      changed.notify_all();
    }
  }

  // Until something changed. Returns early at times.
  void wait(std::unique_lock<std::mutex>& lock, time_point deadline) {
    ++waiting;
    if (deadline == time_point::max()) {
      changed.wait(lock);
    } else {
      changed.wait_until(lock, deadline);
    }
    --waiting;
  }

  // Takes in what comes until the deadline, or waits for who does so.
  void wait_for_news(std::unique_lock<std::mutex>& lock, time_point deadline) {
    const time_point until = std::min(deadline, reader.due());
    if (has_leader) {
      wait(lock, until);
      reader.tick(clock::now());
      send_requests();
      return;
    }
    struct leading {
      state& self;
      std::unique_lock<std::mutex>& lock;
      ~leading() {
        if (!lock.owns_lock()) {
          lock.lock();
        }
        self.has_leader = false;
        self.wake_waiting();
      }
    };
    has_leader = true;
    const leading guard{*this, lock};
    lock.unlock();
    static_cast<void>(link.receive_all_until(incoming, most_at_once, until));
    lock.lock();
    const time_point now = clock::now();
    for (message& each : incoming) {
      reader.take(std::move(each), now);
    }
    incoming.clear();
    reader.tick(now);
    send_requests();
  }

  // Into `got`. False: the deadline passed, or the token said stop.
  bool receive_until(publication& got, time_point deadline, const std::stop_token& stop = {}) {
    std::unique_lock lock{mutex};
    for (bool is_last = false;;) {
      check_open();
      if (stop.stop_requested()) {
        return false;
      }
      if (!is_telling) {
        const feed_reader::step step = reader.next(got, event);
        if (reader.is_empty()) {
          reader.rest(clock::now());
        }
        send_requests();
        if (step == feed_reader::step::message) {
          return true;
        }
        if (step == feed_reader::step::event) {
          tell(lock);
          continue;
        }
      }
      if (is_last) {
        // An event loop waits for the next change, so there must be nothing by now.
        if (has_fd && link.with([](socket& native) { return native.ready().receive; })) {
          is_last = false;
        } else {
          return false;
        }
      }
      is_telling ? wait(lock, deadline) : wait_for_news(lock, deadline);
      is_last = deadline != time_point::max() && clock::now() >= deadline;
    }
  }

  bool wait_for_publishers(std::size_t count, time_point deadline, std::string_view prefix) {
    std::unique_lock lock{mutex};
    for (bool is_last = false;;) {
      check_open();
      if (reader.serving(prefix, clock::now()) >= count) {
        return true;
      }
      if (is_last) {
        return false;
      }
      wait_for_news(lock, deadline);
      is_last = deadline != time_point::max() && clock::now() >= deadline;
    }
  }

  // Wakes a thread that waits, so that it looks at its stop token.
  void interrupt() {
    const std::lock_guard lock{mutex};
    changed.notify_all();
    if (has_leader) {
      link.interrupt();
    }
  }

  void close() noexcept {
    {
      const std::lock_guard lock{mutex};
      if (!std::exchange(is_closed, true)) {
        try {
          reader.leave();
          send_requests();
        } catch (const error&) {
          // The context is shut down: nobody hears it.
        }
      }
    }
    link.close();
    const std::lock_guard lock{mutex};
    changed.notify_all();
  }

  detail::shared_socket link;
  const std::uint64_t id;

  std::mutex mutex;
  // All below guarded by it, but incoming, which is the leader's.
  feed_reader reader;
  std::unordered_map<std::uint64_t, std::string> said_of;  // links, of those not long gone
  std::function<void(const feed_event&)> handler;
  std::condition_variable changed;
  std::size_t waiting = 0;
  bool has_leader = false;
  bool is_telling = false;
  feed_event event{};   // that is told, or is to be
  bool has_fd = false;  // somebody waits for it
  bool is_closed = false;
  std::vector<message> incoming;
  detail::named_ends names;
};

subscriber::subscriber(context& owner, const subscriber_options& options)
    : state_{new state{owner, options}} {}

subscriber::subscriber(context& owner, const endpoint& connected,
                       const std::vector<std::string>& prefixes, const subscriber_options& options)
    : subscriber{owner, options} {
  for (const std::string& prefix : prefixes) {
    subscribe(prefix);
  }
  connect(connected);
}

subscriber::subscriber(subscriber&&) noexcept = default;
subscriber& subscriber::operator=(subscriber&&) noexcept = default;
subscriber::~subscriber() = default;

endpoint subscriber::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) {
    self.look_for_more();
    return self.link.bind(real);
  });
}

void subscriber::connect(const endpoint& where) {
  state* const self = state_.operator->();
  self->names.connect(
      where,
      [self](const endpoint& found) {
        self->look_for_more();
        self->link.connect(found);
      },
      [self](const endpoint& gone) { self->link.disconnect(gone); });
}

// A publisher knows a prefix as ours before it sees it as a plain one, and after.
void subscriber::subscribe(std::string_view prefix) {
  check_prefix(prefix);
  state& self = *state_.operator->();
  const std::lock_guard lock{self.mutex};
  self.check_open();
  if (self.reader.subscribe(prefix)) {
    self.link.with([&](socket& native) {
      native.subscribe(detail::prefix_topic(self.id, prefix));
      native.subscribe(prefix);
    });
  }
}

void subscriber::unsubscribe(std::string_view prefix) {
  check_prefix(prefix);
  state& self = *state_.operator->();
  const std::lock_guard lock{self.mutex};
  self.check_open();
  if (self.reader.unsubscribe(prefix)) {
    self.link.with([&](socket& native) {
      native.unsubscribe(prefix);
      native.unsubscribe(detail::prefix_topic(self.id, prefix));
    });
  }
}

bool subscriber::wait_for_publishers(std::size_t count, duration limit, std::string_view prefix) {
  return state_->wait_for_publishers(count, deadline_after(limit), prefix);
}

publication subscriber::receive() {
  publication got;
  while (!state_->receive_until(got, time_point::max())) {
  }
  return got;
}

std::optional<publication> subscriber::receive_for(duration limit) {
  std::optional<publication> got{std::in_place};
  if (!state_->receive_until(*got, deadline_after(limit))) {
    got.reset();
  }
  return got;
}

std::optional<publication> subscriber::try_receive() { return receive_for(duration::zero()); }

void subscriber::run(const std::function<void(const publication&)>& each, std::stop_token stop) {
  const std::stop_callback wakes{stop, [this] { state_->interrupt(); }};
  publication got;
  while (state_->receive_until(got, time_point::max(), stop)) {
    each(got);
  }
}

int subscriber::fd() {
  state& self = *state_.operator->();
  const std::lock_guard lock{self.mutex};
  self.check_open();
  self.has_fd = true;
  return self.link.with([](socket& native) { return native.fd(); });
}

void subscriber::on_event(std::function<void(const feed_event&)> handler) {
  const std::lock_guard lock{state_->mutex};
  state_->handler = std::move(handler);
}

std::uint64_t subscriber::id() const noexcept { return state_.get()->id; }

std::vector<feed_ledger> subscriber::ledger() const {
  const std::lock_guard lock{state_->mutex};
  return state_->reader.ledger();
}

monitor subscriber::watch() { return state_->link.watch(); }

void subscriber::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->close();
  }
}

}  // namespace parley
