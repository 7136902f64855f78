// SPDX-License-Identifier: MPL-2.0
#include "zmq_carrier.hpp"

#include <parley/error.hpp>

#include "batch_keeper.hpp"
#include "subscription_message.hpp"
#include "zmq_error.hpp"

#include <poll.h>

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

int native_kind(socket_kind kind) {
  switch (kind) {
    case socket_kind::pair:
      return ZMQ_PAIR;
    case socket_kind::push:
      return ZMQ_PUSH;
    case socket_kind::pull:
      return ZMQ_PULL;
    case socket_kind::pub:
      return ZMQ_PUB;
    case socket_kind::sub:
      return ZMQ_SUB;
    case socket_kind::xpub:
      return ZMQ_XPUB;
    case socket_kind::xsub:
      return ZMQ_XSUB;
    case socket_kind::req:
      return ZMQ_REQ;
    case socket_kind::rep:
      return ZMQ_REP;
    case socket_kind::dealer:
      return ZMQ_DEALER;
    case socket_kind::router:
      return ZMQ_ROUTER;
    case socket_kind::stream:
      return ZMQ_STREAM;
  }
  return -1;
}

int checked_milliseconds(std::chrono::milliseconds value, const char* name) {
  if (value.count() < 0 || value.count() > std::numeric_limits<int>::max()) {
    throw config_error{std::string{"socket_options."} + name + " must be from 0 ms to 24 days"};
  }
  return static_cast<int>(value.count());
}

int checked_bytes(std::size_t value, const char* name) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw config_error{std::string{"socket_options."} + name + " must be below 2 GiB"};
  }
  return static_cast<int>(value);
}

void apply(zmq::socket_t& native, const curve_security& curve) {
  if (!curve.own()) {
    return;
  }
  const auto bytes = [](const curve_key& key) {
    return zmq::const_buffer{key.bytes().data(), key.bytes().size()};
  };
  native.set(zmq::sockopt::curve_secretkey, bytes(curve.own()->secret_key));
  if (curve.server()) {
    native.set(zmq::sockopt::curve_publickey, bytes(curve.own()->public_key));
    native.set(zmq::sockopt::curve_serverkey, bytes(*curve.server()));
  } else {
    native.set(zmq::sockopt::curve_server, true);
  }
}

// What a socket tells its peers about batches (docs/wire.md). libzmq before 4.3, and some builds,
// cannot say it; then nobody packs for this socket, and this one packs for nobody.
bool announce(zmq::socket_t& native, const char* name, std::string_view value) {
  constexpr int metadata = 95;  // ZMQ_METADATA, which zmq.h shows to users of its drafts only
  const std::string text = std::string{name}.append(":").append(value);
  return zmq_setsockopt(native.handle(), metadata, text.data(), text.size()) == 0;
}

bool can_unpack(socket_kind kind) {
  return kind == socket_kind::pull || kind == socket_kind::pair || kind == socket_kind::dealer;
}

// What matters to connections only: inproc:// has none, and setting all this takes as long as all
// else that we do to make a socket.
void apply_to_connections(zmq::socket_t& native, socket_kind kind, const socket_options& options) {
  if (!options.curve.own() && kind != socket_kind::stream) {
    // To libzmq, any bytes whatever are ZMTP 1.0: a browser's request would be read as messages. It
    // refuses ZMTP before 3.0 where a ZAP domain is named.
    native.set(zmq::sockopt::zap_domain, std::string_view{"parley"});
  }
  if (options.max_frame_bytes <= static_cast<std::size_t>(std::numeric_limits<int64_t>::max())) {
    native.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options.max_frame_bytes));
  }
  if (options.send_buffer_bytes > 0) {
    native.set(zmq::sockopt::sndbuf, checked_bytes(options.send_buffer_bytes, "send_buffer_bytes"));
  }
  if (options.receive_buffer_bytes > 0) {
    native.set(zmq::sockopt::rcvbuf,
               checked_bytes(options.receive_buffer_bytes, "receive_buffer_bytes"));
  }
  native.set(zmq::sockopt::reconnect_ivl, checked_milliseconds(options.reconnect, "reconnect"));
  native.set(zmq::sockopt::reconnect_ivl_max,
             checked_milliseconds(options.reconnect_max, "reconnect_max"));
  native.set(zmq::sockopt::connect_timeout,
             checked_milliseconds(options.connect_timeout, "connect_timeout"));
  if (options.heartbeat.count() > 0) {
    native.set(zmq::sockopt::heartbeat_ivl, checked_milliseconds(options.heartbeat, "heartbeat"));
    native.set(zmq::sockopt::heartbeat_timeout,
               checked_milliseconds(options.heartbeat_timeout, "heartbeat_timeout"));
  }
  apply(native, options.curve);
  if (can_unpack(kind)) {
    announce(native, unpacks_property, unpacks_version);
  }
}

void apply(zmq::socket_t& native, socket_kind kind, const socket_options& options) {
  native.set(zmq::sockopt::sndhwm, options.send_limit);
  native.set(zmq::sockopt::rcvhwm, options.receive_limit);
  native.set(zmq::sockopt::linger, checked_milliseconds(options.linger, "linger"));
  native.set(zmq::sockopt::immediate, options.only_connected);
  if (!options.routing_id.empty()) {
    native.set(zmq::sockopt::routing_id, options.routing_id);
  }
  if (kind == socket_kind::router) {
    native.set(zmq::sockopt::router_mandatory, options.mandatory);
    native.set(zmq::sockopt::router_handover, options.handover);
  }
  if (kind == socket_kind::xpub && options.all_subscriptions) {
    native.set(zmq::sockopt::xpub_verboser, true);
  }
  if (kind == socket_kind::xpub && options.private_topics) {
    native.set(zmq::sockopt::xpub_manual, true);
  }
  if (kind == socket_kind::req && options.relaxed) {
    native.set(zmq::sockopt::req_correlate, true);
    native.set(zmq::sockopt::req_relaxed, true);
  }
}

// What an error says was tried: a function that builds the words when there is an error.
auto doing(socket_kind kind, const char* action) {
  return [kind, action] {
    return std::string{action}.append(" ").append(to_string(kind)).append(" socket");
  };
}

auto doing(socket_kind kind, const char* action, const char* preposition, const endpoint& where) {
  return [what = doing(kind, action), preposition, &where] {
    return what().append(preposition).append(where.str());
  };
}

// For libzmq: rounded up, since waking a little late beats spinning through the last millisecond.
std::chrono::milliseconds time_left(clock::time_point deadline) {
  const auto left = std::max(deadline - clock::now(), clock::duration::zero());
  return std::min(std::chrono::ceil<std::chrono::milliseconds>(left),
                  std::chrono::milliseconds{std::chrono::hours{24}});
}

// Under CURVE only a client of its peers can ask what they are, and only push sockets can be asked
// for without becoming somebody that messages are sent to.
bool can_pack(socket_kind kind, const curve_security& curve) {
  return kind == socket_kind::push
             ? !curve.own() || curve.server()
             : (kind == socket_kind::pair || kind == socket_kind::dealer) && !curve.own();
}

}  // namespace

void check_options(const socket_options& options) {
  if (options.send_limit < 1 || options.receive_limit < 1) {
    throw config_error{"socket_options.send_limit and receive_limit must be at least 1"};
  }
  checked_milliseconds(options.linger, "linger");
  checked_bytes(options.send_buffer_bytes, "send_buffer_bytes");
  checked_bytes(options.receive_buffer_bytes, "receive_buffer_bytes");
  checked_milliseconds(options.reconnect, "reconnect");
  checked_milliseconds(options.reconnect_max, "reconnect_max");
  checked_milliseconds(options.connect_timeout, "connect_timeout");
  checked_milliseconds(options.heartbeat, "heartbeat");
  checked_milliseconds(options.heartbeat_timeout, "heartbeat_timeout");
  const auto& batch = options.batch;
  if (batch.bytes != 0 && (batch.bytes < 256 || batch.bytes > largest_batch)) {
    throw config_error{"socket_options.batch.bytes must be 0, or from 256 bytes to 1 MiB"};
  }
  if (batch.delay < std::chrono::microseconds{1} || batch.delay > std::chrono::seconds{1}) {
    throw config_error{"socket_options.batch.delay must be from 1 us to 1 s"};
  }
  if (!options.routing_id.empty() &&
      (options.routing_id.size() > 255 || options.routing_id.front() == '\0')) {
    throw config_error{
        "socket_options.routing_id must have at most 255 bytes and not begin with a zero byte"};
  }
}

zmq_carrier::zmq_carrier(const context& owner, socket_kind kind, const shared_options& options,
                         socket_counters& counters)
    : kind_{kind}, options_{*options}, keeper_{owner.batches()}, counters_{counters} {
  with_zmq_errors(doing(kind, "make"), [&] {
    native_ = zmq::socket_t{owner.native(), native_kind(kind)};
    apply(native_, kind, *options);
    if (options->batch.bytes > 0 && can_pack(kind, options->curve)) {
      const batch_label label = fresh_batch_label();
      if (announce(native_, label_property, {label.data(), label.size()})) {
        batch_ = std::make_unique<batch_sender>(owner.native(), native_, keeper_, label, options,
                                                counters_.batches_sent);
        keeper_.add(*batch_);
      }
    }
  });
}

zmq_carrier::~zmq_carrier() {
  if (!batch_) {
    return;
  }
  try {
    static_cast<void>(batch_->flush());
    if (batch_->unsent() > 0) {
      batch_->stop_counting();
      keeper_.take_over(std::move(batch_), std::move(native_),
                        clock::now() + std::chrono::milliseconds{options_.linger});
      return;
    }
  } catch (const std::exception&) {
    // Out of memory: the batch is lost.
  }
  if (batch_) {
    keeper_.remove(*batch_);
  }
}

// With the lock.
void zmq_carrier::prepare(const endpoint& where) {
  if (where.kind() == transport::inproc) {
    return;
  }
  prepare_for_connections();
  if (where.kind() == transport::tcp) {
    native_.set(zmq::sockopt::ipv6, where.is_ipv6());
  }
}

void zmq_carrier::prepare_for_connections() {
  if (!is_prepared_) {
    if (can_unpack(kind_) && !unpacked_) {
      unpacked_ = std::make_unique<batch_reader>();
    }
    apply_to_connections(native_, kind_, options_);
    is_prepared_ = true;
  }
}

endpoint zmq_carrier::bind(const endpoint& where) {
  if (batch_) {
    batch_->give_up_batching();  // whoever connects cannot be asked
  }
  const auto held = hold();
  return with_zmq_errors(doing(kind_, "bind", " to ", where), [&] {
    prepare(where);
    const bool any_port = where.kind() == transport::tcp && where.port() == 0;
    std::string text = where.str();
    if (any_port) {
      text.replace(text.size() - 1, 1, "*");  // older libzmq knows the wildcard port as * only
    }
    native_.bind(text);
    return where.kind() == transport::inproc ? where
                                             : endpoint{native_.get(zmq::sockopt::last_endpoint)};
  });
}

void zmq_carrier::connect(const endpoint& where) {
  const auto what = doing(kind_, "connect", " to ", where);
  if (where.is_wildcard()) {
    throw error{errc::invalid_endpoint, what() + " (only bind takes a wildcard)"};
  }
  if (batch_) {
    batch_->will_connect(where);
  }
  const auto held = hold();
  with_zmq_errors(what, [&] {
    prepare(where);
    native_.connect(where.str());
  });
}

void zmq_carrier::unbind(const endpoint& where) {
  const auto held = hold();
  with_zmq_errors(doing(kind_, "unbind", " from ", where), [&] { native_.unbind(where.str()); });
}

void zmq_carrier::disconnect(const endpoint& where) {
  if (batch_) {
    batch_->give_up_batching();  // libzmq does not say which connections are left
  }
  const auto held = hold();
  with_zmq_errors(doing(kind_, "disconnect", " from ", where),
                  [&] { native_.disconnect(where.str()); });
}

void zmq_carrier::subscribe(std::string_view prefix) {
  with_zmq_errors(doing(kind_, "subscribe"), [&] {
    if (kind_ == socket_kind::xsub) {
      native_.send(zmq::buffer(std::string(1, '\1').append(prefix)), zmq::send_flags::none);
    } else {
      native_.set(zmq::sockopt::subscribe, prefix);
    }
  });
}

void zmq_carrier::unsubscribe(std::string_view prefix) {
  with_zmq_errors(doing(kind_, "unsubscribe"), [&] {
    if (kind_ == socket_kind::xsub) {
      native_.send(zmq::buffer(std::string(1, '\0').append(prefix)), zmq::send_flags::none);
    } else {
      native_.set(zmq::sockopt::unsubscribe, prefix);
    }
  });
}

bool zmq_carrier::can_send_at_once() const noexcept {
  switch (kind_) {
    case socket_kind::pair:
    case socket_kind::push:
    case socket_kind::pub:
    case socket_kind::xpub:
    case socket_kind::dealer:
      return !batch_;
    default:
      return false;
  }
}

// Req and rep note whom they asked; a publisher of private topics looks at each subscription.
bool zmq_carrier::can_receive_at_once() const noexcept {
  return !batch_ && kind_ != socket_kind::req && kind_ != socket_kind::rep &&
         !(kind_ == socket_kind::xpub && options_.private_topics);
}

int zmq_carrier::send_or_say(message& outgoing, int wait) {
  assert(!outgoing.empty());
  int failure = 0;
  do {
    failure = batch_ ? batch_->send(outgoing) : send_parts(native_.handle(), outgoing, wait);
  } while (failure == EINTR && (batch_ || wait == ZMQ_DONTWAIT));  // nothing waited, nor was tried
  if (failure == 0) {
    outgoing.clear();
  } else if (failure != EAGAIN && failure != EHOSTUNREACH && failure != EINTR) {
    throw_zmq_error(failure, doing(kind_, "send on")());
  } else if (batch_ && wait == 0) {
    static_cast<void>(wait_until(ZMQ_POLLOUT, time_point::max()));
  }
  return failure;
}

bool zmq_carrier::send(message& outgoing) {
  int failure = 0;
  do {
    failure = send_or_say(outgoing, 0);
  } while (failure == EAGAIN || failure == EINTR);
  return failure == 0;
}

bool zmq_carrier::send_until(message& outgoing, time_point deadline) {
  if (kind_ == socket_kind::router || kind_ == socket_kind::stream) {
    return send_to_one_until(outgoing, deadline);
  }
  while (!try_send(outgoing)) {
    if (!wait_until(ZMQ_POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

// A router may send to some peer at any time, so there is nothing to poll for: libzmq itself waits
// for the one, and reports an unknown one at once.
bool zmq_carrier::send_to_one_until(message& outgoing, time_point deadline) {
  if (deadline == time_point::max()) {
    return send(outgoing);
  }
  struct limited {
    zmq::socket_t& native;
    ~limited() {
      const int no_limit = -1;
      zmq_setsockopt(native.handle(), ZMQ_SNDTIMEO, &no_limit, sizeof no_limit);
    }
  } const until_here{native_};
  for (;;) {
    const auto limit = time_left(deadline);
    with_zmq_errors(doing(kind_, "send on"),
                    [&] { native_.set(zmq::sockopt::sndtimeo, static_cast<int>(limit.count())); });
    const int failure = send_or_say(outgoing, 0);
    if (failure == 0) {
      return true;
    }
    // After a signal, or a day, there may be time left.
    if (failure == EHOSTUNREACH || limit.count() == 0) {
      return false;
    }
  }
}

bool zmq_carrier::receive(message& incoming, int wait) {
  while (!has_unpacked()) {
    if (batch_) {
      if (!receive_parts(incoming, ZMQ_DONTWAIT)) {
        if (wait == 0) {
          static_cast<void>(wait_until(ZMQ_POLLIN, time_point::max()));
        }
        return false;
      }
    } else if (!receive_parts(incoming, wait)) {
      return false;
    }
    if (kind_ == socket_kind::xpub && options_.private_topics) {
      apply_subscription(incoming);
    }
    if (!is_batch(incoming)) {
      return true;
    }
    open_batch(incoming);
  }
  unpacked_->next(incoming);
  return true;
}

bool zmq_carrier::end_receive(message& incoming) {
  if (incoming.empty()) {
    static_cast<void>(receive_parts(incoming, 0));
  }
  if (is_batch(incoming)) {
    open_batch(incoming);
    if (!has_unpacked()) {
      return false;
    }
    unpacked_->next(incoming);
  }
  counters_.received(incoming);
  return true;
}

void zmq_carrier::open_batch(message& incoming) {
  frame batch = std::move(*incoming.begin());
  incoming.clear();
  if (unpacked_->open(std::move(batch))) {
    counters_.batches_received.add(1);
  } else {
    counters_.dropped_unwanted.add(1);
  }
}

// A frame that its sender, as it said when the connection was made, labels as a batch.
inline bool zmq_carrier::is_batch(const message& incoming) {
  const frame& first = incoming.front();
  if (!looks_like_batch(first.data(), first.size()) || incoming.size() != 1 || !unpacked_)
      [[likely]] {
    return false;
  }
  const char* const label = property_of(*part_.handle(), first, label_property);
  return label != nullptr && first.view().substr(batch_magic.size(), sizeof(batch_label)) == label;
}

// libzmq leaves it to us (ZMQ_XPUB_MANUAL): what is set now is of the peer that said it, and of
// nobody if that one is gone.
void zmq_carrier::apply_subscription(const message& incoming) {
  if (!is_subscription(incoming)) {
    return;
  }
  const std::string_view text = incoming.front().view();
  const auto apply_to = [&](std::string_view prefix) {
    if (text.front() == subscribe_byte) {
      native_.set(zmq::sockopt::subscribe, prefix);
    } else {
      native_.set(zmq::sockopt::unsubscribe, prefix);
    }
  };
  with_zmq_errors(doing(kind_, "subscribe a peer of"), [&] {
    if (text.size() > 1) {
      apply_to(text.substr(1));
      return;
    }
    for (unsigned octet = 0; octet < 256; ++octet) {
      const char first = static_cast<char>(octet);
      if (first != private_topic_octet) {
        apply_to({&first, 1});
      }
    }
  });
}

bool zmq_carrier::receive_parts(message& incoming, int wait) {
  const auto held = hold();
  zmq_msg_t& part = *part_.handle();
  if (is_untaken_ && torn_) {
    incoming = std::move(*torn_);
  }
  for (bool more = true; more;) {
    // The rest of a message is there once its first part is.
    const int flags = incoming.empty() ? wait : 0;
    while (!is_untaken_ && zmq_msg_recv(&part, native_.handle(), flags) < 0) {
      const int failure = zmq_errno();
      if (failure == EINTR && (wait == ZMQ_DONTWAIT || !incoming.empty())) {
        continue;
      }
      if (failure == EAGAIN || failure == EINTR) {
        return false;
      }
      throw_zmq_error(failure, doing(kind_, "receive on")());
    }
    is_untaken_ = true;
    more = zmq_msg_more(&part) != 0;  // before a large body is moved out of it
    if (more && !torn_) {
      torn_ = std::make_unique<message>();  // while there is nothing to put there
    }
    try {
      take(incoming);
    } catch (const std::bad_alloc&) {
      if (torn_) {
        *torn_ = std::move(incoming);
      }
      throw;
    }
  }
  return true;
}

bool zmq_carrier::receive_until(message& incoming, time_point deadline) {
  while (!try_receive(incoming)) {
    if (!wait_until(ZMQ_POLLIN, deadline)) {
      return false;
    }
  }
  return true;
}

int zmq_carrier::events() {
  const auto held = hold();
  if (batch_) {
    batch_->take_wake();
  }
  return with_zmq_errors(doing(kind_, "look at"),
                         [&] { return native_.get(zmq::sockopt::events); });
}

void zmq_carrier::add_fds(std::vector<int>& fds) {
  flush();
  fds.push_back(with_zmq_errors(doing(kind_, "look at"), [&] {
    const auto held = hold();
    return native_.get(zmq::sockopt::fd);
  }));
  if (batch_) {
    fds.push_back(batch_->wake_fd());
  }
}

void zmq_carrier::flush() {
  if (!batch_) {
    return;
  }
  const int failure = batch_->flush();
  if (failure != 0 && failure != EAGAIN && failure != EINTR) {
    throw_zmq_error(failure, doing(kind_, "send on")());
  }
}

zmq::socket_t& zmq_carrier::shared() {
  if (batch_) {
    batch_->give_up_batching();
    flush();
    keeper_.remove(*batch_);  // what could not leave does so with the next calls
  }
  with_zmq_errors(doing(kind_, "share"), [&] { prepare_for_connections(); });
  return native_;
}

std::size_t zmq_carrier::end_batching(time_point deadline) {
  if (!batch_) {
    return 0;
  }
  std::size_t unsent = 0;
  try {
    for (flush(); (unsent = batch_->unsent()) > 0 && wait_until(ZMQ_POLLOUT, deadline); flush()) {
    }
  } catch (const std::exception&) {
    unsent = batch_->unsent();  // shut down, or out of memory
  }
  keeper_.remove(*batch_);
  batch_.reset();
  return unsent;
}

// Until the socket may be ready for events of zmq_poll. False: the deadline has passed.
bool zmq_carrier::wait_until(short events, time_point deadline) {
  if (batch_) {
    return wait_beside_keeper(events, deadline);
  }
  zmq::pollitem_t item{native_.handle(), 0, events, 0};
  for (;;) {
    const auto limit = time_left(deadline);
    if (limit.count() == 0) {
      return false;
    }
    try {
      if (zmq::poll(&item, 1, limit) > 0) {
        return true;
      }
    } catch (const zmq::error_t& failure) {
      if (failure.num() != EINTR) {
        throw_zmq_error(failure.num(), doing(kind_, "wait on")());
      }
    }
  }
}

// The same, where the keeper may use the socket meanwhile: zmq::poll may not.
bool zmq_carrier::wait_beside_keeper(short wanted, time_point deadline) {
  std::vector<int> fds;
  add_fds(fds);
  std::vector<pollfd> polled;
  polled.reserve(fds.size());
  for (const int fd : fds) {
    polled.push_back({fd, POLLIN, 0});
  }
  while ((events() & wanted) == 0) {
    const auto limit = time_left(deadline);
    if (limit.count() == 0) {
      return false;
    }
    // After a signal too, we look again.
    static_cast<void>(::poll(polled.data(), polled.size(), static_cast<int>(limit.count())));
  }
  return true;
}

}  // namespace parley::detail
