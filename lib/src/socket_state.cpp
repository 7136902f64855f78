// SPDX-License-Identifier: MPL-2.0
#include "socket_state.hpp"

#include <parley/error.hpp>

#include "zmq_departure.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace parley {

using detail::never;

namespace {

template<class Carrier>
void repeat(const detail::subscription_set& subscriptions, Carrier& to) {
  subscriptions.for_each([&](const std::string& prefix, std::size_t count) {
    for (; count > 0; --count) {
      to.subscribe(prefix);
    }
  });
}

}  // namespace

socket::state::state(const context& owner, socket_kind kind, const socket_options& options)
    : context_{owner},
      kind_{kind},
      options_{options},
      subscriptions_{detail::subscribes(kind) ? std::make_unique<detail::subscription_set>()
                                              : nullptr} {
  check_home();
  detail::check_options(options);
  if (options.send_limit_bytes > 0) {
    budget_ = std::make_unique<detail::byte_budget>(owner.pipes(), options.send_limit_bytes);
  }
}

socket::state::~state() {
#ifndef NDEBUG
  if (in_use_.load(std::memory_order_relaxed)) {
    report_misuse();
  }
#endif
  if (events_fd_ != -1) {
    ::close(events_fd_);
  }
}

void socket::state::report_misuse() const noexcept {
  const std::string_view name = to_string(kind_);
  std::fprintf(stderr,
               "parley: a %.*s socket is used by two threads at the same time; a socket belongs to "
               "one thread at a time\n",
               static_cast<int>(name.size()), name.data());
  std::abort();
}

void socket::state::check_open() const {
  if (is_closed_) {
    throw closed{std::string{"use "}.append(to_string(kind_)) + " socket"};
  }
}

close_result socket::state::close_until(time_point deadline) {
  is_closed_ = true;
  budget_.reset();
  close_result left;
  std::optional<detail::zmq_departure> departing;
  if (zmq_) {
    const bool has_sent = counters_.messages_sent.value() > 0 || is_shared_;
    left.unsent = zmq_->end_batching(deadline);
    departing.emplace(context_.libzmq(), zmq_->native(), has_sent ? deadline : time_point::min());
    left.uncounted = has_sent;
    zmq_.reset();
    find_shortest_way();
  }
  if (pipes_) {
    left.unsent += pipes_->close_until(deadline);
    const bool is_unread = pipes_->leave();
    const std::lock_guard lock{making_pipes_};
    if (is_unread) {
      left_pipes_ = std::move(pipes_);
    }
    pipes_.reset();
    find_shortest_way();
  }
  left.uncounted = left.uncounted && !departing->wait();
  return left;
}

// Carriers.

detail::zmq_carrier& socket::state::with_zmq() {
  if (!zmq_) {
    check_open();
    if (pipes_ && !pipes_->has_endpoints()) {
      const std::lock_guard lock{making_pipes_};
      pipes_.reset();  // it stood in while there was no endpoint of any kind
      find_shortest_way();
    }
    try {
      make_zmq();
    } catch (...) {
      zmq_.reset();  // all of it, or nothing
      find_shortest_way();
      throw;
    }
  }
  return *zmq_;
}

void socket::state::make_zmq() {
  zmq_.emplace(context_, kind_, options_, counters_);
  find_shortest_way();
  if (subscriptions_) {
    repeat(*subscriptions_, *zmq_);
  }
  if (events_fd_ != -1) {
    watch_zmq(events_fd_);
  }
  if (pipes_) {
    be_watched();
  }
}

zmq::socket_t& socket::state::shared() {
  is_shared_ = true;
  return with_zmq().shared();
}

detail::pipe_carrier& socket::state::with_pipes() {
  if (!pipes_) {
    check_open();
    auto made =
        std::make_unique<detail::pipe_carrier>(context_.pipes(), kind_, options_, counters_);
    if (subscriptions_) {
      repeat(*subscriptions_, *made);
    }
    if (zmq_ || is_watched_) {
      made->watch();
      is_watched_ = true;
    }
    if (events_fd_ != -1) {
      watch(events_fd_, *made);
    }
    const std::lock_guard lock{making_pipes_};
    pipes_ = std::move(made);
    find_shortest_way();
  }
  return *pipes_;
}

void socket::state::find_shortest_way() noexcept {
  detail::pipe_carrier* const pipes = zmq_ ? nullptr : pipes_.get();
  detail::zmq_carrier* const zmq = zmq_ && !pipes_ ? &*zmq_ : nullptr;
  sends_by_pipe_ = pipes != nullptr && !budget_ && pipes->can_send_at_once() ? pipes : nullptr;
  receives_by_pipe_ = pipes != nullptr && pipes->can_receive_at_once() ? pipes : nullptr;
  sends_by_zmq_ = zmq != nullptr && !budget_ && zmq->can_send_at_once() ? zmq : nullptr;
  receives_by_zmq_ = zmq != nullptr && zmq->can_receive_at_once() ? zmq : nullptr;
}

bool socket::state::send_at_once_by_zmq(message& outgoing, int wait) {
  return sends_by_zmq_->send_at_once(outgoing, wait);
}

bool socket::state::receive_at_once_by_zmq(message& into, int wait) {
  return receives_by_zmq_->receive_at_once(into, wait);
}

void socket::state::watch(int set, int fd) {
  epoll_event readable{};
  readable.events = EPOLLIN;
  readable.data.fd = fd;
  if (::epoll_ctl(set, EPOLL_CTL_ADD, fd, &readable) != 0 && errno != EEXIST) {
    throw error{errc::out_of_resources, "epoll of a socket"};
  }
}

void socket::state::watch(int set, detail::pipe_carrier& pipes) {
  watch(set, pipes.read_bell().fd());
  watch(set, pipes.write_bell().fd());
}

void socket::state::watch_zmq(int set) {
  std::vector<int> fds;
  zmq_->add_fds(fds);
  for (const int fd : fds) {
    watch(set, fd);
  }
}

int socket::state::fd() {
  check_open();
  if (events_fd_ == -1) {
    be_watched();
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set == -1) {
      throw error{errc::out_of_resources, "epoll of a socket"};
    }
    try {
      if (zmq_) {
        watch_zmq(set);
      }
      if (pipes_) {
        watch(set, *pipes_);
      }
      if (budget_) {
        watch(set, budget_->bell().fd());
      }
    } catch (...) {
      ::close(set);
      throw;
    }
    events_fd_ = set;  // last: all of it, or nothing
  }
  return events_fd_;
}

void socket::state::be_watched() {
  if (pipes_) {
    pipes_->watch();
  }
  is_watched_ = true;
}

void socket::state::be_unwatched() noexcept {
  is_watched_ = false;
  if (pipes_) {
    pipes_->unwatch();
  }
}

void socket::state::add_fds(bool for_reading, std::vector<int>& fds) {
  if (zmq_) {
    zmq_->add_fds(fds);
  }
  if (pipes_) {
    fds.push_back((for_reading ? pipes_->read_bell() : pipes_->write_bell()).fd());
  }
  if (budget_ && !for_reading) {
    fds.push_back(budget_->bell().fd());
  }
}

// Endpoints.

namespace {

void refuse_names(const endpoint& where) {
  if (where.kind() == transport::service) {
    throw error{errc::invalid_endpoint,
                "'" + where.str() + "' (a socket takes addresses; names are for the patterns)"};
  }
}

}  // namespace

endpoint socket::state::bind(const endpoint& where) {
  refuse_names(where);
  if (where.kind() != transport::pipe) {
    return with_zmq().bind(where);
  }
  if (kind_ == socket_kind::stream) {
    throw error{errc::unsupported, "bind stream socket to " + where.str()};
  }
  with_pipes().bind(where.address());
  return where;
}

void socket::state::connect(const endpoint& where) {
  refuse_names(where);
  if (where.kind() != transport::pipe) {
    return with_zmq().connect(where);
  }
  if (kind_ == socket_kind::stream) {
    throw error{errc::unsupported, "connect stream socket to " + where.str()};
  }
  with_pipes().connect(where.address());
}

void socket::state::unbind(const endpoint& where) {
  where.kind() == transport::pipe ? with_pipes().unbind(where.address()) : with_zmq().unbind(where);
}

void socket::state::disconnect(const endpoint& where) {
  where.kind() == transport::pipe ? with_pipes().disconnect(where.address())
                                  : with_zmq().disconnect(where);
}

void socket::state::subscribe(std::string_view prefix) {
  check_open();
  if (!subscriptions_) {
    throw error{errc::unsupported, std::string{"subscribe "}.append(to_string(kind_)) + " socket"};
  }
  subscriptions_->add(prefix);
  if (zmq_) {
    zmq_->subscribe(prefix);
  }
  if (pipes_) {
    pipes_->subscribe(prefix);
  }
}

void socket::state::unsubscribe(std::string_view prefix) {
  check_open();
  if (!subscriptions_) {
    throw error{errc::unsupported,
                std::string{"unsubscribe "}.append(to_string(kind_)) + " socket"};
  }
  subscriptions_->remove(prefix);
  if (zmq_) {
    zmq_->unsubscribe(prefix);
  }
  if (pipes_) {
    pipes_->unsubscribe(prefix);
  }
}

// xsub: a message that begins with 1 or 0 subscribes or unsubscribes. True: it was one.
bool socket::state::take_subscription(message& outgoing) {
  const std::string_view text = outgoing.front().view();
  if (outgoing.size() != 1 || text.empty() || static_cast<unsigned char>(text.front()) > 1) {
    return false;
  }
  text.front() == '\1' ? subscribe(text.substr(1)) : unsubscribe(text.substr(1));
  outgoing.clear();
  return true;
}

// Sending.

inline bool socket::state::zmq_sent(bool sent, std::size_t bytes) noexcept {
  if (sent) {
    counters_.sent(bytes);
    zmq_is_asked_ = kind_ == socket_kind::req;
  }
  return sent;
}

inline bool socket::state::zmq_try_send(message& outgoing) {
  const std::size_t bytes = outgoing.bytes();
  return zmq_sent(zmq_->try_send(outgoing), bytes);
}

template<class Send>
bool socket::state::metered(message& outgoing, Send send) {
  // Refused or failed, the message goes back to the caller as it was: who still held counted bodies
  // would wait for itself.
  struct restore {
    message& to;
    message uncounted;
    bool is_needed = true;
    ~restore() {
      if (is_needed) {
        to = std::move(uncounted);
      }
    }
  } back{outgoing, outgoing};
  budget_->charge(outgoing);
  const bool sent = send(outgoing);
  back.is_needed = !sent;
  return sent;
}

// Some of it may be with a peer that has gone, and the pipes have not looked.
bool socket::state::budget_has_room() {
  if (budget_->has_room()) [[likely]] {
    return true;
  }
  if (!pipes_) {
    return false;
  }
  pipes_->let_go();
  return budget_->has_room();
}

bool socket::state::try_send(message& outgoing) {
  if (!budget_) [[likely]] {
    return carriers_try_send(outgoing);
  }
  return budget_has_room() &&
         metered(outgoing, [this](message& counted) { return carriers_try_send(counted); });
}

bool socket::state::send_until(message& outgoing, time_point deadline) {
  if (!budget_) [[likely]] {
    return carriers_send_until(outgoing, deadline);
  }
  return (budget_has_room() || budget_->wait_until(deadline)) &&
         metered(outgoing,
                 [&](message& counted) { return carriers_send_until(counted, deadline); });
}

bool socket::state::carriers_try_send(message& outgoing) {
  if (kind_ == socket_kind::xsub && take_subscription(outgoing)) {
    return true;
  }
  if (!zmq_) {
    return with_pipes().try_send(outgoing);
  }
  return pipes_ ? both_try_send(outgoing) : zmq_try_send(outgoing);
}

bool socket::state::carriers_send_until(message& outgoing, time_point deadline) {
  if (kind_ == socket_kind::xsub && take_subscription(outgoing)) {
    return true;
  }
  if (!zmq_) {
    return with_pipes().send_until(outgoing, deadline);
  }
  if (pipes_) {
    return both_send_until(outgoing, deadline);
  }
  const std::size_t bytes = outgoing.bytes();
  return zmq_sent(zmq_->send_until(outgoing, deadline), bytes);
}

void socket::state::send(message& outgoing) {
  bool is_sent = false;
  if (!zmq_ || pipes_ || budget_ || kind_ == socket_kind::xsub) {
    is_sent = send_until(outgoing, never);
  } else {
    const std::size_t bytes = outgoing.bytes();
    is_sent = zmq_sent(zmq_->send(outgoing), bytes);
  }
  if (!is_sent) {
    refuse_address(outgoing.front().view());
  }
}

// Who waits as long as it takes would wait for ever for a peer that is not there.
void socket::state::refuse_address(std::string_view routing_id) const {
  std::string what = std::string{"send on "}.append(to_string(kind_)) + " socket to '";
  for (const char each : routing_id) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto octet = static_cast<unsigned char>(each);
    if (octet >= 0x20 && octet < 0x7f) {
      what += each;
    } else {
      what.append("\\x") += digits[octet >> 4U];
      what += digits[octet & 0xfU];
    }
  }
  throw error{errc::unknown_peer, what + "'"};
}

// Receiving.

inline bool socket::state::zmq_received(bool received, const message& into) noexcept {
  if (received) {
    counters_.received(into);
    zmq_is_asked_ = kind_ == socket_kind::rep;
  }
  return received;
}

inline bool socket::state::zmq_try_receive(message& into) {
  return zmq_received(zmq_->try_receive(into), into);
}

bool socket::state::try_receive(message& into) {
  if (!zmq_) {
    return with_pipes().try_receive(into);
  }
  return pipes_ ? both_try_receive(into) : zmq_try_receive(into);
}

bool socket::state::receive_until(message& into, time_point deadline) {
  if (!zmq_) {
    return with_pipes().receive_until(into, deadline);
  }
  if (!pipes_) {
    return zmq_received(zmq_->receive_until(into, deadline), into);
  }
  while (!both_try_receive(into)) {
    if (!both_wait(true, deadline)) {
      return false;
    }
  }
  return true;
}

void socket::state::receive(message& into) {
  if (zmq_ && !pipes_) {
    while (!zmq_received(zmq_->receive_once(into), into)) {
    }
  } else {
    while (!receive_until(into, never)) {
    }
  }
}

bool socket::state::can_receive() {
  if (!zmq_) {
    return with_pipes().can_receive();
  }
  if (!pipes_) {
    return zmq_->can_receive();
  }
  if (kind_ == socket_kind::req) {
    return zmq_is_asked_ ? zmq_->can_receive() : pipes_->can_receive();
  }
  if (kind_ == socket_kind::rep && (zmq_is_asked_ || pipes_->in_turn_to_send())) {
    return false;
  }
  return pipes_->can_receive() || zmq_->can_receive();
}

bool socket::state::can_send() {
  while (budget_ && !budget_has_room()) {
    if (!is_watched_ || budget_->rest()) {
      return false;
    }
  }
  return carriers_can_send();
}

bool socket::state::carriers_can_send() {
  if (!zmq_) {
    return with_pipes().can_send();
  }
  if (!pipes_) {
    return zmq_->can_send();
  }
  if (kind_ == socket_kind::rep) {
    return zmq_is_asked_ ? zmq_->can_send() : pipes_->can_send();
  }
  if (kind_ == socket_kind::req && !options_->relaxed &&
      (zmq_is_asked_ || pipes_->in_turn_to_receive())) {
    return false;
  }
  if (kind_ == socket_kind::pair) {
    // Both are looked at in any case: one takes up who came and went, the other's descriptor falls
    // silent.
    const bool pipe_can = pipes_->can_send();
    const bool zmq_can = zmq_->can_send();
    return pipes_->targets() > 0 ? pipe_can : zmq_can;
  }
  return pipes_->can_send() || zmq_->can_send();
}

socket_readiness socket::state::ready() {
  std::optional<detail::zmq_carrier::one_look> look;
  if (zmq_) {
    look.emplace(*zmq_);
  }
  if (pipes_) {
    pipes_->be_silent();
  }
  return {.receive = can_receive(), .send = can_send()};
}

// The same of a call that waits: what it sends is counted already, and may be all there is room for
// in bytes.
socket_readiness socket::state::both_ready() {
  const detail::zmq_carrier::one_look look{*zmq_};
  pipes_->be_silent();
  return {.receive = can_receive(), .send = carriers_can_send()};
}

// With both carriers. libzmq does not tell how many peers it has: it counts as one in the balance.

bool socket::state::both_try_send(message& outgoing) {
  const auto in_turn = [&] {
    const bool zmq_first = turn_++ % (pipes_->targets() + 1) == 0;
    const bool by_zmq_first = zmq_first && zmq_try_send(outgoing);
    const bool by_pipe = !by_zmq_first && pipes_->try_send(outgoing);
    const bool by_zmq = by_zmq_first || (!zmq_first && !by_pipe && zmq_try_send(outgoing));
    if (by_zmq && kind_ == socket_kind::req) {
      pipes_->abandon_request();
    }
    if (by_pipe) {
      zmq_is_asked_ = false;
    }
    return by_zmq || by_pipe;
  };
  switch (kind_) {
    case socket_kind::pub:
    case socket_kind::xpub:
    case socket_kind::xsub: {
      message copy{outgoing};
      return pipes_->try_send(copy) && zmq_try_send(outgoing);
    }
    case socket_kind::rep:
      return zmq_is_asked_ ? zmq_try_send(outgoing) : pipes_->try_send(outgoing);
    case socket_kind::req:
      if (!options_->relaxed && (zmq_is_asked_ || pipes_->in_turn_to_receive())) {
        return zmq_is_asked_ ? zmq_try_send(outgoing) : pipes_->try_send(outgoing);  // out of turn
      }
      return in_turn();
    case socket_kind::router:
      return pipes_->knows(outgoing.front().view()) ? pipes_->try_send(outgoing)
                                                    : zmq_try_send(outgoing);
    case socket_kind::pair:
      // In this order: trying takes up who came and went.
      return pipes_->try_send(outgoing) || (pipes_->targets() == 0 && zmq_try_send(outgoing));
    default:
      return in_turn();
  }
}

bool socket::state::both_send_until(message& outgoing, time_point deadline) {
  if (kind_ == socket_kind::router) {
    if (pipes_->knows(outgoing.front().view())) {
      return pipes_->send_until(outgoing, deadline);
    }
    const std::size_t bytes = outgoing.bytes();
    return zmq_sent(zmq_->send_until(outgoing, deadline), bytes);
  }
  while (!both_try_send(outgoing)) {
    if (!both_wait(false, deadline)) {
      return false;
    }
  }
  return true;
}

bool socket::state::both_try_receive(message& into) {
  const bool is_answering =
      kind_ == socket_kind::rep && (zmq_is_asked_ || pipes_->in_turn_to_send());  // out of turn
  if (kind_ == socket_kind::req || is_answering) {
    return zmq_is_asked_ ? zmq_try_receive(into) : pipes_->try_receive(into);
  }
  const bool zmq_first = turn_++ % (pipes_->targets() + 1) == 0;
  return (zmq_first && zmq_try_receive(into)) || pipes_->try_receive(into) ||
         (!zmq_first && zmq_try_receive(into));
}

// True: look again. False: the deadline has passed.
bool socket::state::both_wait(bool for_reading, time_point deadline) {
  int limit = -1;
  if (deadline != never) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return false;
    }
    limit = static_cast<int>(std::min<std::int64_t>(left.count(), 86'400'000));
  }
  be_watched();  // who rested at the socket has ended that
  // Not can_x alone: what the other side has, and this is not the time for, must fall silent too.
  const socket_readiness now = both_ready();
  if (for_reading ? now.receive : now.send) {
    return true;
  }
  std::vector<int> fds;
  add_fds(for_reading, fds);
  std::vector<pollfd> waited;
  waited.reserve(fds.size());
  for (const int fd : fds) {
    waited.push_back({fd, POLLIN, 0});
  }
  static_cast<void>(::poll(waited.data(), waited.size(), limit));
  return true;
}

socket_statistics socket::state::statistics() const {
  check_home();  // its locks may be held for ever
  socket_statistics figures;
  figures.messages_sent = counters_.messages_sent.value();
  figures.bytes_sent = counters_.bytes_sent.value();
  figures.messages_received = counters_.messages_received.value();
  figures.bytes_received = counters_.bytes_received.value();
  figures.batches_sent = counters_.batches_sent.value();
  figures.batches_received = counters_.batches_received.value();
  figures.dropped_full = counters_.dropped_full.value();
  figures.dropped_gone = counters_.dropped_gone.value();
  figures.dropped_unwanted = counters_.dropped_unwanted.value();
  const std::lock_guard lock{making_pipes_};
  for (const auto* each : {&pipes_, &left_pipes_}) {
    if (*each) {
      (*each)->add_to(figures);
    }
  }
  return figures;
}

}  // namespace parley
