// SPDX-License-Identifier: MPL-2.0
#include "pipe_carrier.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

namespace parley::detail {
namespace {

constexpr char subscribe_byte = '\1';
constexpr char unsubscribe_byte = '\0';

bool is_subscription(const message& incoming) noexcept {
  return incoming.size() == 1 && !incoming.front().empty() &&
         (incoming.front().view().front() == subscribe_byte ||
          incoming.front().view().front() == unsubscribe_byte);
}

message with_prefix(const message& prefix, message& rest) {
  message whole;
  whole.reserve(prefix.size() + rest.size());
  for (const frame& each : prefix) {
    whole.push_back(each);
  }
  for (frame& each : rest) {
    whole.push_back(std::move(each));
  }
  rest.clear();
  return whole;
}

}  // namespace

pipe_carrier::pipe_carrier(std::shared_ptr<pipe_registry> registry, socket_kind kind,
                           const socket_options& options, socket_counters& counters)
    : registry_{std::move(registry)},
      kind_{kind},
      deals_{kind == socket_kind::pair || kind == socket_kind::push || kind == socket_kind::dealer},
      takes_all_{kind == socket_kind::pair || kind == socket_kind::pull ||
                 kind == socket_kind::dealer || kind == socket_kind::xsub},
      mailbox_{std::make_shared<pipe_mailbox>(kind, options)},
      options_{mailbox_->options},
      counters_{counters} {
  if (kind == socket_kind::req) {
    turn_ = turn::send;
  } else if (kind == socket_kind::rep) {
    turn_ = turn::receive;
  }
  registry_->enter(mailbox_);
}

pipe_carrier::~pipe_carrier() {
  registry_->leave(mailbox_);
  for (const auto& each : mailbox_->take().arrivals) {
    if (each.link) {
      each.link->leave(each.side);
    }
  }
  for (const auto& each : peers_) {
    if (each->link) {
      each->link->leave(each->side);
    }
  }
}

std::size_t pipe_carrier::waiting_for_bind() const {
  std::size_t count = 0;
  for (const auto& each : peers_) {
    if (each->room) {
      const std::lock_guard waiting{each->room->mutex};
      count += each->room->messages.size();  // none any more, if joined meanwhile
    }
  }
  return count;
}

std::size_t pipe_carrier::close_until(time_point deadline) noexcept {
  try {
    while (catch_up(), waiting_for_bind() > 0) {
      if (watched_) {
        write_bell().disarm();
      }
      if (!write_bell().wait([this] { return mailbox_->has_news(); }, deadline, {})) {
        break;
      }
    }
  } catch (const error&) {
    // The context was shut down, or there is nothing to sleep on: the time is up.
  }
  std::size_t unsent = 0;
  for (const auto& each : peers_) {
    if (each->room) {
      const std::lock_guard waiting{each->room->mutex};
      unsent += each->room->messages.size();
      each->room->messages.clear();
    }
  }
  counters_.dropped_gone.add(unsent);
  return unsent;
}

void pipe_carrier::fail(errc code, const char* action) const {
  const std::string what = std::string{action}.append(" ").append(to_string(kind_)) + " socket";
  if (code == errc::closed) {
    throw closed{what};
  }
  throw error{code, what};
}

// Endpoints.

void pipe_carrier::bind(const std::string& name) {
  catch_up();
  if (!registry_->bind(name, mailbox_)) {
    throw error{errc::cannot_bind, "bind " + std::string{to_string(kind_)} + " socket to pipe://" +
                                       name + " (the name is taken)"};
  }
  bound_.push_back(name);
  catch_up();
}

void pipe_carrier::connect(const std::string& name) {
  catch_up();
  const auto made = connections_.emplace(name, ++last_connection_);
  if (!registry_->connect(name, mailbox_, made->second)) {
    connections_.erase(made);
    throw error{errc::cannot_connect, "connect " + std::string{to_string(kind_)} +
                                          " socket to pipe://" + name +
                                          " (bound by a socket of a kind it cannot talk to)"};
  }
  catch_up();
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
  for (std::size_t index = 0; index < peers_.size();) {
    if (peers_[index]->connection == connection) {
      part(lose(index));
    } else {
      ++index;
    }
  }
}

// Peers.

void pipe_carrier::take_news() {
  auto news = mailbox_->take();
  if (news.is_shut_down) {
    fail(errc::closed, "use");
  }
  for (std::size_t index = 0; index < peers_.size();) {
    peer& each = *peers_[index];
    if (each.out != nullptr && each.out->closed()) {
      close_out(each);
    }
    if (each.in != nullptr && each.in->drained()) {
      lose(index);
    } else {
      ++index;
    }
  }
  for (auto& each : news.arrivals) {
    admit(each);
  }
  if (!parting_.empty()) {
    const std::lock_guard lock{mutex_};
    std::erase_if(parting_, [this](const auto& each) {
      if (each->link->gone(other(each->side))) {
        counters_.dropped_gone.add(each->out->approx_size());
        return true;
      }
      return each->out->approx_size() == 0;
    });
  }
  pass_on_backlog();
}

void pipe_carrier::admit(pipe_mailbox::arrival& news) {
  const auto is_it = [&](const auto& each) {
    return news.connection != 0 && each->connection == news.connection && each->room;
  };
  auto at = std::find_if(peers_.begin(), peers_.end(), is_it);
  if (at == peers_.end()) {
    const bool taken_back =
        news.connection != 0 &&
        std::none_of(connections_.begin(), connections_.end(),
                     [&](const auto& each) { return each.second == news.connection; });
    // An exclusive pair has one peer; who comes second is turned away.
    const bool second = kind_ == socket_kind::pair &&
                        std::any_of(peers_.begin(), peers_.end(), [](const auto& each) {
                          return each->out != nullptr || each->room;
                        });
    if (taken_back || second) {
      if (news.link) {
        news.link->leave(news.side);
      }
      return;
    }
    auto made = std::make_unique<peer>();
    made->connection = news.connection;
    made->side = news.side;
    const std::lock_guard lock{mutex_};
    at = peers_.insert(peers_.end(), std::move(made));
  }
  peer& who = **at;
  {
    const std::lock_guard lock{mutex_};
    who.room = std::move(news.room);
    who.link = std::move(news.link);
    if (who.link) {
      who.in = &who.link->in(who.side);
      who.out = &who.link->out(who.side);
      if (kind_ == socket_kind::sub || kind_ == socket_kind::xsub) {
        counters_.messages_sent.add(who.out->pushed());  // subscriptions that were there before
      }
    }
  }
  if (who.link && kind_ == socket_kind::router && !name_peer(who)) {
    who.link->leave(who.side);
    lose(who);
  }
}

// False: another peer has that name.
bool pipe_carrier::name_peer(peer& who) {
  who.routing_id = who.link->routing_id(other(who.side));
  if (who.routing_id.empty()) {
    // Nine bytes that begin with zero: no program may choose such a name, and libzmq makes five.
    char name[9] = {};
    ++last_name_;
    std::memcpy(name + 1, &last_name_, sizeof last_name_);
    who.routing_id.assign(name, sizeof name);
  } else if (const auto taken = routes_.find(who.routing_id); taken != routes_.end()) {
    peer& before = *taken->second;
    const bool has_left = before.out == nullptr || before.out->closed();
    if (!has_left && !options_.handover) {
      return false;
    }
    routes_.erase(taken);
    if (!has_left) {
      before.link->leave(before.side);
      lose(before);
    }
  }
  routes_.emplace(who.routing_id, &who);
  return true;
}

std::unique_ptr<pipe_carrier::peer> pipe_carrier::lose(std::size_t index) {
  peer& who = *peers_[index];
  if (who.out != nullptr && who.out->closed()) {
    close_out(who);
  }
  if (talking_to_ == &who) {
    talking_to_ = nullptr;
  }
  if (const auto route = routes_.find(who.routing_id);
      route != routes_.end() && route->second == &who) {
    routes_.erase(route);
  }
  subscribers_.remove_peer(&who, [this](std::string_view prefix, bool nobody_left) {
    if (kind_ == socket_kind::xpub && (nobody_left || options_.all_subscriptions)) {
      told_.emplace_back(frame{std::string(1, unsubscribe_byte).append(prefix)});
    }
  });
  const std::lock_guard lock{mutex_};
  std::unique_ptr<peer> lost = std::move(peers_[index]);
  peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(index));
  return lost;
}

void pipe_carrier::lose(peer& who) {
  const auto at = std::find_if(peers_.begin(), peers_.end(),
                               [&](const auto& each) { return each.get() == &who; });
  lose(static_cast<std::size_t>(at - peers_.begin()));
}

void pipe_carrier::close_out(peer& who) {
  const std::lock_guard lock{mutex_};
  if (who.link->gone(other(who.side))) {
    counters_.dropped_gone.add(who.out->approx_size());  // exact: nobody pops, we do not push
  }
  who.out = nullptr;
}

// We leave; what we sent is still read.
void pipe_carrier::part(std::unique_ptr<peer> who) {
  const std::lock_guard lock{mutex_};
  if (who->room) {
    const std::lock_guard waiting{who->room->mutex};
    counters_.dropped_gone.add(who->room->messages.size());
  } else if (who->link) {
    who->link->leave(who->side);
    if (who->out != nullptr) {
      parting_.push_back(std::move(who));
    }
  }
}

void pipe_carrier::add_to(socket_statistics& figures) const {
  const std::lock_guard lock{mutex_};
  for (const auto* group : {&peers_, &parting_}) {
    for (const auto& each : *group) {
      if (each->out != nullptr) {
        const bool lost = each->link->gone(other(each->side));
        (lost ? figures.dropped_gone : figures.queued) += each->out->approx_size();
        figures.peers += each->out->closed() ? 0 : 1;
      } else if (each->room) {
        const std::lock_guard waiting{each->room->mutex};
        const auto& link = each->room->link;
        figures.queued += link ? link->out(each->side).approx_size() : each->room->messages.size();
        figures.peers += link ? 1 : 0;
      }
    }
  }
}

// Receiving.

// From each peer in turn.
inline bool pipe_carrier::pop(message& into, peer*& from) {
  for (std::size_t tried = 0; tried < peers_.size();) {
    if (read_next_ >= peers_.size()) {
      read_next_ = 0;
    }
    peer& next = *peers_[read_next_];
    if (next.in != nullptr) {
      if (next.in->try_pop_n([&](message&& each) { into = std::move(each); }, 1) != 0) {
        from = &next;
        ++read_next_;
        counters_.received(into);
        return true;
      }
      if (next.in->drained()) {
        lose(read_next_);
        continue;
      }
    }
    ++read_next_;
    ++tried;
  }
  return false;
}

inline bool pipe_carrier::fetch(message& into) {
  if (takes_all_) {
    peer* from = nullptr;
    return pop(into, from);
  }
  return fetch_by_kind(into);
}

bool pipe_carrier::fetch_by_kind(message& into) {
  switch (kind_) {
    case socket_kind::sub:
      return fetch_wanted(into);
    case socket_kind::xpub:
      return fetch_told(into);
    case socket_kind::req:
      return fetch_reply(into);
    case socket_kind::rep:
      return fetch_request(into);
    case socket_kind::router:
      return fetch_named(into);
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

// sub: an unsubscription takes effect at once, whatever is on the way.
bool pipe_carrier::fetch_wanted(message& into) {
  peer* from = nullptr;
  while (pop(into, from)) {
    if (!filters_ || mailbox_->subscriptions.matches(into.front().view())) {
      return true;
    }
    unwanted();
  }
  return false;
}

bool pipe_carrier::fetch_told(message& into) {
  take_subscriptions();
  if (told_.empty()) {
    return false;
  }
  into = std::move(told_.front());
  told_.pop_front();
  return true;
}

bool pipe_carrier::fetch_named(message& into) {
  peer* from = nullptr;
  if (!pop(into, from)) {
    return false;
  }
  into = with_prefix(message{frame{from->routing_id}}, into);
  return true;
}

bool pipe_carrier::fetch_request(message& into) {
  peer* from = nullptr;
  while (pop(into, from)) {
    std::size_t delimiter = 0;
    while (delimiter < into.size() && !into[delimiter].empty()) {
      ++delimiter;
    }
    if (delimiter + 1 < into.size()) {
      envelope_.clear();
      for (std::size_t index = 0; index <= delimiter; ++index) {
        envelope_.push_back(std::move(into[index]));
      }
      into.drop_front(delimiter + 1);
      talking_to_ = from;
      return true;
    }
    unwanted();
  }
  return false;
}

bool pipe_carrier::fetch_reply(message& into) {
  const std::size_t delimiter = options_.relaxed ? 1 : 0;
  const auto is_ours = [&] {
    std::uint32_t id = request_id_;
    if (options_.relaxed && into.front().size() == sizeof id) {
      std::memcpy(&id, into.front().data(), sizeof id);
    }
    return into.size() > delimiter + 1 && into[delimiter].empty() && id == request_id_ &&
           (!options_.relaxed || into.front().size() == sizeof id);
  };
  peer* from = nullptr;
  while (pop(into, from)) {
    if ((talking_to_ == nullptr || from == talking_to_) && is_ours()) {
      into.drop_front(delimiter + 1);
      return true;
    }
    unwanted();
  }
  return false;
}

bool pipe_carrier::receives() const noexcept {
  return takes_all_ ||
         (turn_ != turn::send && kind_ != socket_kind::push && kind_ != socket_kind::pub);
}

bool pipe_carrier::receive_ready() const noexcept {
  if (mailbox_->has_news()) {
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
    fail(turn_ == turn::send ? errc::out_of_turn : errc::unsupported, "receive on");
  }
  bool received = true;
  if (fetched_) [[unlikely]] {
    into = std::move(*fetched_);
    fetched_.reset();
  } else {
    received = fetch(into);
  }
  if (received && turn_ == turn::receive) {
    turn_ = turn::send;
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
      fetched_.emplace();
      if (!fetch(*fetched_)) {
        fetched_.reset();
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

inline bool pipe_carrier::put(peer& to, message& outgoing) {
  const std::size_t bytes = outgoing.bytes();
  if (to.out != nullptr) {
    switch (to.out->try_push(std::move(outgoing))) {
      case push_result::pushed:
        counters_.sent(bytes);
        return true;
      case push_result::full:
        return false;
      case push_result::closed:
        close_out(to);
        return false;
    }
  }
  if (to.room && !options_.only_connected) {
    const std::lock_guard lock{to.room->mutex};
    if (!to.room->link && to.room->messages.size() < to.room->limit) {
      to.room->messages.push_back(std::move(outgoing));
      counters_.sent(bytes);
      return true;
    }
  }
  return false;
}

void pipe_carrier::put_or_drop(peer& to, message&& outgoing) {
  if (!put(to, outgoing)) {
    counters_.sent(outgoing.bytes());
    (to.out == nullptr ? counters_.dropped_gone : counters_.dropped_full).add(1);
    outgoing.clear();
  }
}

// To the next peer in turn that has room.
inline bool pipe_carrier::send_to_next(message& outgoing) {
  for (std::size_t tried = 0; tried < peers_.size(); ++tried) {
    if (send_next_ >= peers_.size()) {
      send_next_ = 0;
    }
    if (put(*peers_[send_next_++], outgoing)) {
      return true;
    }
  }
  return false;
}

bool pipe_carrier::has_room(const peer& who) const {
  if (who.out != nullptr) {
    return !who.out->closed() && who.out->writable();
  }
  if (who.room && !options_.only_connected) {
    const std::lock_guard lock{who.room->mutex};
    return !who.room->link && who.room->messages.size() < who.room->limit;
  }
  return false;
}

// Leaves send_next_ at the one it returns.
pipe_carrier::peer* pipe_carrier::next_with_room() {
  for (std::size_t tried = 0; tried < peers_.size(); ++tried) {
    if (send_next_ >= peers_.size()) {
      send_next_ = 0;
    }
    if (has_room(*peers_[send_next_])) {
      return peers_[send_next_].get();
    }
    ++send_next_;
  }
  return nullptr;
}

bool pipe_carrier::send_request(message& outgoing) {
  if (turn_ == turn::receive && !options_.relaxed) {
    fail(errc::out_of_turn, "send on");
  }
  peer* const to = next_with_room();
  if (to == nullptr) {
    return false;
  }
  ++send_next_;
  message prefix;
  if (options_.relaxed) {
    ++request_id_;
    prefix.push_back(frame{&request_id_, sizeof request_id_});
  }
  prefix.push_back(frame{});
  message request = with_prefix(prefix, outgoing);
  if (!put(*to, request)) {
    request.drop_front(prefix.size());
    outgoing = std::move(request);
    return false;
  }
  fetched_.reset();
  talking_to_ = to;
  turn_ = turn::receive;
  return true;
}

// As a router would: who is gone, or does not read, loses the reply.
void pipe_carrier::send_reply(message& outgoing) {
  if (turn_ != turn::send) {
    fail(errc::out_of_turn, "send on");
  }
  turn_ = turn::receive;
  message reply = with_prefix(envelope_, outgoing);
  if (talking_to_ != nullptr) {
    put_or_drop(*talking_to_, std::move(reply));
  } else {
    counters_.sent(reply.bytes());
    counters_.dropped_gone.add(1);
  }
}

bool pipe_carrier::knows(std::string_view routing_id) {
  catch_up();
  const auto route = routes_.find(routing_id);
  return route != routes_.end() && route->second->out != nullptr && !route->second->out->closed();
}

bool pipe_carrier::send_named(message& outgoing) {
  refused_by_.clear();
  const bool found = knows(outgoing.front().view());
  peer* const to = found ? routes_.find(outgoing.front().view())->second : nullptr;
  if (to != nullptr && to->out->writable()) {
    const frame name = outgoing.front();
    outgoing.drop_front(1);
    if (outgoing.empty() || put(*to, outgoing)) {
      return true;  // an address alone carries nothing
    }
    outgoing = with_prefix(message{name}, outgoing);  // it left just now
  } else if (to != nullptr && options_.mandatory) {
    refused_by_ = to->routing_id;
  }
  if (options_.mandatory) {
    return false;
  }
  counters_.sent(outgoing.bytes() - outgoing.front().size());
  (to != nullptr ? counters_.dropped_full : counters_.dropped_gone).add(1);
  outgoing.clear();
  return true;
}

void pipe_carrier::publish(message& outgoing) {
  take_subscriptions();
  matching_.clear();
  ++topics_;
  subscribers_.match(outgoing.front().view(), [this](peer& each) {
    if (each.matched != topics_) {
      each.matched = topics_;
      matching_.push_back(&each);
    }
  });
  for (std::size_t index = 0; index < matching_.size(); ++index) {
    const bool is_last = index + 1 == matching_.size();
    put_or_drop(*matching_[index], is_last ? std::move(outgoing) : message{outgoing});
  }
  outgoing.clear();
}

void pipe_carrier::send_upstream(message& outgoing) {
  for (const auto& each : peers_) {
    if (each->out != nullptr) {
      put_or_drop(*each, message{outgoing});
    }
  }
  outgoing.clear();
}

inline bool pipe_carrier::send_once(message& outgoing) {
  assert(!outgoing.empty());
  catch_up();
  return deals_ ? send_to_next(outgoing) : send_by_kind(outgoing);
}

bool pipe_carrier::send_by_kind(message& outgoing) {
  switch (kind_) {
    case socket_kind::pub:
    case socket_kind::xpub:
      publish(outgoing);
      return true;
    case socket_kind::xsub:
      send_upstream(outgoing);
      return true;
    case socket_kind::req:
      return send_request(outgoing);
    case socket_kind::rep:
      send_reply(outgoing);
      return true;
    case socket_kind::router:
      return send_named(outgoing);
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
    const auto route = routes_.find(refused_by_);
    return route == routes_.end() || route->second->out == nullptr ||
           route->second->out->writable();
  }
  return std::any_of(peers_.begin(), peers_.end(), [this](const auto& each) {
    return each->out != nullptr ? each->out->writable() : has_room(*each);
  });
}

bool pipe_carrier::try_send(message& outgoing) {
  for (;;) {
    if (send_once(outgoing)) {
      return true;
    }
    const bool no_such_peer = kind_ == socket_kind::router && refused_by_.empty();
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
    if (kind_ == socket_kind::router && refused_by_.empty()) {
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
    switch (kind_) {
      case socket_kind::pub:
      case socket_kind::xpub:
      case socket_kind::xsub:
      case socket_kind::router:
        return true;
      case socket_kind::rep:
        return turn_ == turn::send;
      case socket_kind::req:
        if (turn_ == turn::receive && !options_.relaxed) {
          return false;
        }
        break;
      case socket_kind::pull:
      case socket_kind::sub:
      case socket_kind::stream:
        return false;
      case socket_kind::pair:
      case socket_kind::push:
      case socket_kind::dealer:
        break;
    }
    if (next_with_room() != nullptr) {
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
  mailbox_->subscriptions.add(prefix);
  tell_peers(subscribe_byte, prefix);
}

void pipe_carrier::unsubscribe(std::string_view prefix) {
  const std::lock_guard lock{mailbox_->subscriptions_mutex};
  catch_up();
  if (mailbox_->subscriptions.remove(prefix)) {
    filters_ = true;
    tell_peers(unsubscribe_byte, prefix);
  }
}

void pipe_carrier::tell_peers(char what, std::string_view prefix) {
  const message news{frame{std::string(1, what).append(prefix)}};
  for (const auto& each : peers_) {
    if (each->out == nullptr) {
      continue;
    }
    message copy = news;
    if (!each->backlog.empty() || !put(*each, copy)) {
      each->backlog.push_back(std::move(copy));
      has_backlog_ = true;
    }
  }
}

void pipe_carrier::pass_on_backlog() {
  has_backlog_ = false;
  for (const auto& each : peers_) {
    while (each->out != nullptr && !each->backlog.empty() && put(*each, each->backlog.front())) {
      each->backlog.pop_front();
    }
    if (each->out == nullptr) {
      each->backlog.clear();
    }
    has_backlog_ = has_backlog_ || !each->backlog.empty();
  }
}

void pipe_carrier::take_subscriptions() {
  for (std::size_t index = 0; index < peers_.size();) {
    peer& each = *peers_[index];
    if (each.in != nullptr && each.in->readable()) {
      each.in->try_pop_n([&](message&& incoming) { take_subscription(each, std::move(incoming)); });
      if (each.in->drained()) {
        lose(index);
        continue;
      }
    }
    ++index;
  }
}

void pipe_carrier::take_subscription(peer& from, message&& incoming) {
  counters_.received(incoming);
  const bool is_xpub = kind_ == socket_kind::xpub;
  bool tells = is_xpub;
  if (is_subscription(incoming)) {
    const std::string_view text = incoming.front().view();
    const bool changes = text.front() == subscribe_byte
                             ? subscribers_.add(text.substr(1), &from)
                             : subscribers_.remove(text.substr(1), &from);
    tells = is_xpub && (changes || options_.all_subscriptions);
  }
  if (tells) {
    told_.push_back(std::move(incoming));
  }
}

void pipe_carrier::watch() {
  if (watched_) {
    return;
  }
  watched_ = true;
  static_cast<void>(can_receive());
  static_cast<void>(can_send());
}

void pipe_carrier::be_silent() noexcept {
  for (doorbell* const bell : {&read_bell(), &write_bell()}) {
    if (!bell->is_waiting()) {
      bell->disarm();
    }
  }
}

}  // namespace parley::detail
