// SPDX-License-Identifier: MPL-2.0
#include "pipe_carrier.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <new>
#include <utility>

namespace parley::detail {

pipe_carrier::pipe_carrier(std::shared_ptr<pipe_registry> registry, socket_kind kind,
                           const shared_options& options, socket_counters& counters)
    : registry_{std::move(registry)},
      kind_{kind},
      deals_{kind == socket_kind::pair || kind == socket_kind::push || kind == socket_kind::dealer},
      takes_all_{kind == socket_kind::pair || kind == socket_kind::pull ||
                 kind == socket_kind::dealer || kind == socket_kind::xsub},
      mailbox_{std::make_shared<pipe_mailbox>(kind, options)},
      options_{*mailbox_->options},
      counters_{counters},
      peers_{options_, counters, [this](pipe_peer& who) { forget(who); }},
      conversation_{kind, options_, peers_, counters},
      routes_{options_, peers_, counters},
      publisher_{kind, options_, peers_, counters},
      subscriber_{*mailbox_, peers_, counters} {
  registry_->enter(mailbox_);
}

pipe_carrier::~pipe_carrier() { leave(); }

bool pipe_carrier::leave() noexcept {
  if (!std::exchange(has_left_, true)) {
    registry_->leave(mailbox_);
    for (const auto& each : mailbox_->take().arrivals) {
      if (each.link) {
        each.link->leave(each.side);
      }
    }
    fetched_.reset();
    conversation_.clear();
    routes_.clear();
    publisher_.clear();
  }
  return peers_.leave();
}

bool pipe_carrier::has_endpoints() {
  peers_.forget_parted();
  return !bound_.empty() || !connections_.empty() || !peers_.empty() || peers_.has_parted() ||
         fetched_.has_value();
}

void pipe_carrier::let_go() {
  catch_up();
  peers_.settle();
}

std::size_t pipe_carrier::close_until(time_point deadline) noexcept {
  try {
    while (catch_up(), peers_.waiting_for_bind() > 0) {
      if (watched_) {
        write_bell().disarm();
      }
      if (!write_bell().wait([this] { return mailbox_->has_news(); }, deadline, {})) {
        break;
      }
    }
  } catch (const std::exception&) {
    // The context was shut down, or there is nothing to sleep on, or no memory: the time is up.
  }
  return peers_.clear_rooms();
}

void pipe_carrier::fail(errc code, const char* action) const {
  const std::string what = std::string{action}.append(" ").append(to_string(kind_)) + " socket";
  if (code == errc::closed) {
    throw closed{what};
  }
  throw error{code, what};
}

// Endpoints.

namespace {

// Takes back what was written down before a step that said no, or threw.
template<class Step, class TakeBack>
bool all_or_nothing(Step step, TakeBack take_back) {
  bool done = false;
  try {
    done = step();
  } catch (...) {
    take_back();
    throw;
  }
  if (!done) {
    take_back();
  }
  return done;
}

}  // namespace

void pipe_carrier::bind(const std::string& name) {
  catch_up();
  bound_.push_back(name);
  if (!all_or_nothing([&] { return registry_->bind(name, mailbox_); },
                      [&] { bound_.pop_back(); })) {
    throw error{errc::cannot_bind, "bind " + std::string{to_string(kind_)} + " socket to pipe://" +
                                       name + " (the name is taken)"};
  }
  catch_up_if_possible();
}

void pipe_carrier::connect(const std::string& name) {
  catch_up();
  const auto made = connections_.emplace(name, ++last_connection_);
  if (!all_or_nothing([&] { return registry_->connect(name, mailbox_, made->second); },
                      [&] { connections_.erase(made); })) {
    throw error{errc::cannot_connect, "connect " + std::string{to_string(kind_)} +
                                          " socket to pipe://" + name +
                                          " (bound by a socket of a kind it cannot talk to)"};
  }
  catch_up_if_possible();
}

void pipe_carrier::unbind(const std::string& name) {
  if (!registry_->unbind(name, mailbox_)) {
    throw error{errc::invalid_endpoint,
                "unbind " + std::string{to_string(kind_)} + " socket from pipe://" + name};
  }
  std::erase(bound_, name);
}

void pipe_carrier::disconnect(const std::string& name) {
  const auto found = connections_.find(name);
  if (found == connections_.end()) {
    throw error{errc::invalid_endpoint,
                "disconnect " + std::string{to_string(kind_)} + " socket from pipe://" + name};
  }
  const std::uint64_t connection = found->second;
  registry_->disconnect(name, mailbox_, connection);
  catch_up();
  connections_.erase(found);
  peers_.part(connection);
}

// Peers.

// Who has made an endpoint has it, whatever there is no memory to take up yet.
void pipe_carrier::catch_up_if_possible() {
  try {
    catch_up();
  } catch (const std::bad_alloc&) {
    // It is news again.
  }
}

void pipe_carrier::take_news() {
  auto news = mailbox_->take();
  // What there is no memory for is news again.
  struct at_end {
    pipe_mailbox& from;
    pipe_mailbox::arrival_list& arrivals;
    ~at_end() {
      std::erase_if(arrivals, [](const auto& each) { return !each.link && !each.room; });
      if (!arrivals.empty()) {
        from.put_back(std::move(arrivals));
      }
    }
  } const keep_rest{*mailbox_, news.arrivals};
  if (news.is_shut_down) {
    fail(errc::closed, "use");
  }
  peers_.lose_gone();
  for (auto& each : news.arrivals) {
    admit(each);
  }
  peers_.forget_parted();
  subscriber_.pass_on_backlog();
}

void pipe_carrier::admit(pipe_mailbox::arrival& news) {
  pipe_peer* who = peers_.find_waiting(news.connection);
  bool is_new = false;
  if (who == nullptr) {
    const bool taken_back =
        news.connection != 0 &&
        std::none_of(connections_.begin(), connections_.end(),
                     [&](const auto& each) { return each.second == news.connection; });
    // An exclusive pair has one peer; who comes second is turned away.
    const bool second = kind_ == socket_kind::pair &&
                        std::any_of(peers_.begin(), peers_.end(), [&](const auto& each) {
                          // Whose name was given up may not have closed our link yet.
                          const bool same =
                              news.connection != 0 && each->connection == news.connection;
                          return !same && (each->out != nullptr || each->room);
                        });
    if (taken_back || second) {
      if (news.link) {
        news.link->leave(news.side);
      }
      news.link = nullptr;
      news.room = nullptr;
      return;
    }
    who = &peers_.add(news.connection, news.side);
    is_new = true;
  }
  bool is_refused = false;
  try {
    is_refused = kind_ == socket_kind::router && news.link && !routes_.add(*who, *news.link);
  } catch (...) {
    if (is_new) {
      peers_.lose(*who);  // it comes again
    }
    throw;
  }
  peers_.join(*who, news);
  if (!who->link) {
    return;
  }
  if (subscribes(kind_)) {
    counters_.messages_sent.add(who->out->pushed());  // subscriptions that were there before
    counters_.bytes_sent.add(news.subscription_bytes);
  }
  if (is_refused) {
    who->link->leave(who->side);
    peers_.lose(*who);
  }
}

void pipe_carrier::forget(pipe_peer& who) {
  conversation_.forget(who);
  routes_.forget(who);
  publisher_.forget(who);
}

// Receiving.

inline bool pipe_carrier::fetch(message& into) {
  return takes_all_ ? peers_.pop(into) != nullptr : fetch_by_kind(into);
}

bool pipe_carrier::fetch_by_kind(message& into) {
  switch (kind_) {
    case socket_kind::sub:
      return subscriber_.fetch(into);
    case socket_kind::xpub:
      return publisher_.fetch(into);
    case socket_kind::req:
      return conversation_.fetch_reply(into);
    case socket_kind::rep:
      return conversation_.fetch_request(into);
    case socket_kind::router:
      return routes_.fetch(into);
    case socket_kind::pair:
    case socket_kind::pull:
    case socket_kind::dealer:
    case socket_kind::xsub:
    case socket_kind::push:
    case socket_kind::pub:
    case socket_kind::stream:
      break;
  }
  return false;
}

bool pipe_carrier::receives() const noexcept {
  return takes_all_ ||
         (conversation_.may_receive() && kind_ != socket_kind::push && kind_ != socket_kind::pub);
}

bool pipe_carrier::receive_ready() const noexcept {
  if (mailbox_->has_news()) {
    return true;
  }
  if (receives() && (conversation_.has_untaken() || routes_.has_untaken())) {
    return true;
  }
  for (const auto& each : peers_) {
    if (receives() && each->in != nullptr && each->in->readable()) {
      return true;
    }
    if (!each->backlog.empty() && (each->out == nullptr || each->out->writable())) {
      return true;
    }
  }
  return false;
}

inline bool pipe_carrier::receive_once(message& into) {
  catch_up();
  if (!receives()) {
    fail(conversation_.may_receive() ? errc::unsupported : errc::out_of_turn, "receive on");
  }
  bool received = true;
  if (fetched_) [[unlikely]] {
    into = std::move(*fetched_);
    fetched_.reset();
  } else {
    received = fetch(into);
  }
  if (received) {
    conversation_.received();
  }
  return received;
}

template<class Ready>
bool pipe_carrier::rest(doorbell& bell, Ready ready) {
  if (!watched_) {
    return true;
  }
  if (bell.is_waiting() && !ready()) {
    return true;
  }
  bell.disarm();
  return bell.arm(ready);
}

bool pipe_carrier::try_receive(message& into) {
  for (;;) {
    if (receive_once(into)) {
      return true;
    }
    if (rest(read_bell(), [this] { return receive_ready(); })) {
      return false;
    }
  }
}

bool pipe_carrier::receive_until(message& into, time_point deadline) {
  return receive_once(into) || wait_and_receive(into, deadline);
}

bool pipe_carrier::wait_and_receive(message& into, time_point deadline) {
  for (;;) {
    if (watched_) {
      read_bell().disarm();
    }
    if (!read_bell().wait([this] { return receive_ready(); }, deadline, {})) {
      return try_receive(into);
    }
    if (receive_once(into)) {
      return true;
    }
  }
}

bool pipe_carrier::can_receive() {
  for (;;) {
    catch_up();
    if (!fetched_ && receives()) {
      message next;
      if (fetch(next)) {
        fetched_ = std::move(next);
      }
    }
    if (fetched_) {
      return true;
    }
    if (rest(read_bell(), [this] { return receive_ready(); })) {
      return false;
    }
  }
}

// Sending.

bool pipe_carrier::knows(std::string_view routing_id) {
  catch_up();
  return routes_.find(routing_id) != nullptr;
}

inline bool pipe_carrier::send_once(message& outgoing) {
  assert(!outgoing.empty());
  catch_up();
  return deals_ ? peers_.put_to_next(outgoing) : send_by_kind(outgoing);
}

bool pipe_carrier::send_by_kind(message& outgoing) {
  if (!conversation_.may_send()) {
    fail(errc::out_of_turn, "send on");
  }
  switch (kind_) {
    case socket_kind::pub:
    case socket_kind::xpub:
      publisher_.publish(outgoing);
      return true;
    case socket_kind::xsub:
      subscriber_.send_upstream(outgoing);
      return true;
    case socket_kind::req:
      if (!conversation_.ask(outgoing)) {
        return false;
      }
      fetched_.reset();  // a reply to the request before
      return true;
    case socket_kind::rep:
      conversation_.reply(outgoing);
      return true;
    case socket_kind::router:
      return routes_.send(outgoing);
    case socket_kind::pair:
    case socket_kind::push:
    case socket_kind::dealer:
    case socket_kind::pull:
    case socket_kind::sub:
    case socket_kind::stream:
      break;
  }
  fail(errc::unsupported, "send on");
}

bool pipe_carrier::send_ready() const noexcept {
  if (mailbox_->has_news()) {
    return true;
  }
  if (kind_ == socket_kind::router) {
    return routes_.may_take_again();
  }
  return std::any_of(peers_.begin(), peers_.end(),
                     [this](const auto& each) { return peers_.has_room(*each); });
}

bool pipe_carrier::try_send(message& outgoing) {
  for (;;) {
    if (send_once(outgoing)) {
      return true;
    }
    const bool no_such_peer = kind_ == socket_kind::router && !routes_.is_full();
    if (no_such_peer) {
      return false;
    }
    if (!mailbox_->has_news() && rest(write_bell(), [this] { return send_ready(); })) {
      return false;
    }
  }
}

bool pipe_carrier::send_until(message& outgoing, time_point deadline) {
  return send_once(outgoing) || wait_and_send(outgoing, deadline);
}

bool pipe_carrier::wait_and_send(message& outgoing, time_point deadline) {
  for (;;) {
    if (kind_ == socket_kind::router && !routes_.is_full()) {
      return false;
    }
    if (watched_) {
      write_bell().disarm();
    }
    if (!write_bell().wait([this] { return send_ready(); }, deadline, {})) {
      return try_send(outgoing);
    }
    if (send_once(outgoing)) {
      return true;
    }
  }
}

bool pipe_carrier::can_send() {
  for (;;) {
    catch_up();
    if (!conversation_.may_send()) {
      return false;
    }
    switch (kind_) {
      case socket_kind::pub:
      case socket_kind::xpub:
      case socket_kind::xsub:
      case socket_kind::router:
      case socket_kind::rep:
        return true;
      case socket_kind::pull:
      case socket_kind::sub:
      case socket_kind::stream:
        return false;
      case socket_kind::req:
      case socket_kind::pair:
      case socket_kind::push:
      case socket_kind::dealer:
        break;
    }
    if (peers_.next_with_room() != nullptr) {
      return true;
    }
    if (!mailbox_->has_news() && rest(write_bell(), [this] { return send_ready(); })) {
      return false;
    }
  }
}

// Subscriptions.

void pipe_carrier::subscribe(std::string_view prefix) {
  const std::lock_guard lock{mailbox_->subscriptions_mutex};  // nobody is joined meanwhile
  catch_up();
  subscriber_.subscribe(prefix);
}

void pipe_carrier::unsubscribe(std::string_view prefix) {
  const std::lock_guard lock{mailbox_->subscriptions_mutex};
  catch_up();
  subscriber_.unsubscribe(prefix);
}

void pipe_carrier::watch() {
  if (watched_) {
    return;
  }
  watched_ = true;
  try {
    static_cast<void>(can_receive());
    static_cast<void>(can_send());
  } catch (...) {
    unwatch();
    throw;
  }
}

void pipe_carrier::unwatch() noexcept {
  watched_ = false;
  read_bell().disarm();
  write_bell().disarm();
}

void pipe_carrier::be_silent() noexcept {
  for (doorbell* const bell : {&read_bell(), &write_bell()}) {
    if (!bell->is_waiting()) {
      bell->disarm();
    }
  }
}

}  // namespace parley::detail
