// SPDX-License-Identifier: MPL-2.0
#include <parley/client.hpp>

#include <parley/monitor.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after
#include <parley/socket.hpp>

#include "call_book.hpp"
#include "call_room.hpp"
#include "named_ends.hpp"
#include "rpc.hpp"

#include <atomic>
#include <deque>
#include <utility>

namespace parley {

using detail::call_book;
using detail::call_room;
using detail::deadline_after;

// Words of the header.

std::string_view to_string(call_end how) noexcept {
  switch (how) {
    case call_end::replied:
      return "replied";
    case call_end::timed_out:
      return "timed out";
    case call_end::no_server:
      return "no server";
    case call_end::server_lost:
      return "server lost";
    case call_end::overloaded:
      return "overloaded";
    case call_end::cancelled:
      return "cancelled";
    case call_end::closed:
      return "closed";
  }
  return "";
}

void call_outcome::fail() const {
  switch (how) {
    case call_end::timed_out:
      throw timed_out{"call"};
    case call_end::no_server:
      throw no_server{"call"};
    case call_end::server_lost:
      throw server_lost{"call"};
    case call_end::overloaded:
      throw overloaded{"call", retry_after};
    case call_end::cancelled:
      throw cancelled{"call"};
    default:
      throw closed{"call"};
  }
}

namespace detail {

void pack_request_head(pack_buffer& into, std::uint32_t id, std::string_view method) {
  begin_request(into, id, method);
}

void pack_notification_head(pack_buffer& into, std::string_view method) {
  begin_notification(into, method);
}

namespace {

std::string_view payload_of(const message& reply) {
  if (reply.empty()) {
    throw protocol_error{"a response without a payload"};
  }
  return reply.front().view();
}

}  // namespace

response::response(const message& reply)
    : response{payload_of(reply), rpc_head::of_result(payload_of(reply)).size} {}

response::response(std::string_view bytes, std::size_t head)
    : fields_{bytes.substr(head)}, result_{head > 0 ? fields_.get() : result_of(fields_.get())} {}

}  // namespace detail

// The client.

struct client::state {
  state(context& owner, const client_options& chosen)
      : options{chosen}, room{owner, chosen}, names{owner} {}

  [[nodiscard]] call_book::order order_of(const call_options& call, message&& payload,
                                          call_book::time_point now,
                                          call_book::done&& done = {}) const {
    return {.payload = std::move(payload),
            .deadline = deadline_after(call.timeout.value_or(options.timeout), now),
            .idempotent = call.idempotent,
            .wait_for_server = call.wait_for_server,
            .when_done = std::move(done)};
  }

  const client_options options;
  std::atomic<std::uint32_t> requests{0};
  call_room room;
  detail::named_ends names;
};

client::client(context& owner, const client_options& options) : state_{new state{owner, options}} {}

client::client(context& owner, const std::vector<endpoint>& connected,
               const client_options& options)
    : client{owner, options} {
  for (const endpoint& each : connected) {
    connect(each);
  }
}

client::client(context& owner, const endpoint& connected, const client_options& options)
    : client{owner, std::vector{connected}, options} {}

client::~client() = default;
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;

endpoint client::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) { return self.room.bind(real); });
}
void client::connect(const endpoint& where) {
  call_room* const room = &state_->room;
  state_->names.connect(
      where, [room](const endpoint& found) { room->connect(found); },
      [room](const endpoint& gone) { room->disconnect(gone); });
}
void client::disconnect(const endpoint& where) {
  state& self = *state_.operator->();
  self.names.disconnect(where, [&](const endpoint& gone) { self.room.disconnect(gone); });
}
bool client::wait_for_servers(std::size_t count, duration limit) {
  return state_->room.wait_for_servers(count, deadline_after(limit));
}
std::vector<server_status> client::servers() const { return state_->room.servers(); }
client_statistics client::statistics() const { return state_->room.statistics(); }
void client::on_connection(std::function<void(const connection_event&)> told) {
  state_->room.on_connection(std::move(told));
}

void client::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->room.close();
  }
}

std::uint32_t client::next_request_number() noexcept {
  return state_.get()->requests.fetch_add(1, std::memory_order_relaxed);  // any number will do
}

message client::request(const call_options& options, message outgoing) {
  const auto now = call_book::clock::now();
  call_outcome came =
      state_->room.call(state_->order_of(options, std::move(outgoing), now), options.stop, now);
  static_cast<void>(came.value());
  return std::move(came.reply);
}

void client::request_then(const call_options& options, message outgoing,
                          std::function<void(call_outcome&&)> done) {
  const auto now = call_book::clock::now();
  state& self = *state_.operator->();
  self.room.start(self.order_of(options, std::move(outgoing), now, std::move(done)), options.stop,
                  now);
}

void client::call_packed(const call_options& options, std::string_view method,
                         const frame& parameters, std::function<void(call_outcome&&)> done) {
  detail::pack_buffer packed;
  detail::begin_request(packed, next_request_number(), method);
  packed.write(parameters.view().data(), parameters.size());
  request_then(options, packed.take(), std::move(done));
}

void client::send_notification(message outgoing) {
  const auto now = call_book::clock::now();
  call_book::order order = state_->order_of({}, std::move(outgoing), now);
  order.wants_reply = false;
  static_cast<void>(state_->room.call(std::move(order), {}, now).value());
}

// Streams.

struct client::stream_state {
  stream_state(call_room& at, std::chrono::steady_clock::duration timeout)
      : room{at}, limit{timeout} {}

  call_room& room;
  const std::chrono::steady_clock::duration limit;
  call_room::stream results{room};
};

client::stream_handle::stream_handle(client& owner, const call_options& options, message request)
    : state_{std::make_unique<stream_state>(
          owner.state_->room, options.timeout.value_or(owner.state_->options.timeout))} {
  call_book::order order =
      owner.state_->order_of(options, std::move(request), call_book::clock::now());
  order.deadline = call_book::time_point::max();
  order.patience = state_->limit;
  state_->results.start(std::move(order), options.stop);
}

client::stream_handle::~stream_handle() = default;
client::stream_handle::stream_handle(stream_handle&&) noexcept = default;
client::stream_handle& client::stream_handle::operator=(stream_handle&&) noexcept = default;

std::optional<message> client::stream_handle::next() {
  return state_->results.next(deadline_after(state_->limit));
}

}  // namespace parley
