// SPDX-License-Identifier: MPL-2.0
//
// The caller's side of request-reply: calls methods of servers by name, and always comes back.
//
// Threads: any, at once. The functions given to call_then and its like run on whatever thread is
// inside the client then, its own and the caller's included; they must neither throw nor destroy
// the client, but may call it. While one waits, if only for a call, those of other calls may have
// to. Time: every call ends within its timeout, and exactly once, in one of the ways of call_end.
// Servers: a link to each is kept, also to each that a service:name stands for just then. A call
// goes to one that lives (server_choice says which); it goes on to another if that one refuses it,
// or, if it is idempotent, dies of it. Wire: docs/wire.md. MessagePack-RPC, with an envelope that
// plain REP sockets send back.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/error.hpp>
#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace parley {

struct connection_event;

// Which of several servers a call goes to. The guide calls the three Freelance models one to three.
enum class server_choice {
  in_turn,      // the first that lives, in the order of connect: the others are spare
  all_at_once,  // all that live; the first reply counts, the others are told to stop
  routed,       // the least loaded of those that live
};

struct client_options {
  std::chrono::milliseconds timeout{5000};  // of each call, unless the call has its own
  server_choice choice = server_choice::routed;
  // Calls without a waiting thread (async_call, call_then) that have not ended. One more ends at
  // once, overloaded.
  std::size_t limit = 10'000;
  // Each server is asked this often whether it lives, 0: never. One that said nothing for
  // heartbeat_timeout after it was asked is taken for dead until it does.
  std::chrono::milliseconds heartbeat{500};
  std::chrono::milliseconds heartbeat_timeout{2000};
  // A server that sends a larger frame is cut off, which ends its calls, and connected to anew.
  std::size_t max_frame_bytes = any_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

struct call_options {
  std::optional<std::chrono::steady_clock::duration> timeout{};  // none: the client's
  // May be executed again: is, by another server, when the first is lost. One server executes it
  // once all the same, as long as it remembers the reply (server_options::remembered).
  bool idempotent = false;
  // False: ends at once, no_server, when none is there.
  bool wait_for_server = true;
  // Cancels the call, also at the server.
  std::stop_token stop{};
};

enum class call_end {
  replied,      // the reply may be an error of the server's
  timed_out,    // the time passed, and a server was there
  no_server,    // none was there, until the time passed or from the start
  server_lost,  // it has the call, or had, and is gone: it may have been executed. Or it was, and
                // there was no memory for its reply
  overloaded,   // refused, by all servers or by this client; not executed
  cancelled,
  closed,  // the client, or its context
};

[[nodiscard]] std::string_view to_string(call_end how) noexcept;

// How a call without a fixed type ended.
struct call_outcome {
  call_end how = call_end::closed;
  message reply{};                           // replied
  std::chrono::milliseconds retry_after{0};  // overloaded

  // The reply. Throws timed_out, no_server, server_lost, overloaded, cancelled, closed.
  [[nodiscard]] const message& value() const {
    if (how != call_end::replied) {
      fail();
    }
    return reply;
  }

 private:
  [[noreturn]] void fail() const;
};

struct client_statistics {
  // Calls that ended so. Their sum is what was started and has ended.
  std::uint64_t replied = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t no_server = 0;
  std::uint64_t server_lost = 0;
  std::uint64_t overloaded = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t closed = 0;

  std::uint64_t moved = 0;     // calls that went on to another server, each time
  std::uint64_t late = 0;      // replies that nobody waited for any more
  std::uint64_t nonsense = 0;  // messages that are no reply of any kind
};

struct server_status {
  endpoint where;
  bool live = false;
  std::size_t in_flight = 0;  // calls of this client
};

// A named parameter: call<int>("add", arg("a", 2), arg("b", 3)).
template<class T>
struct argument {
  std::string_view name;
  const T& value;
};
template<class T>
[[nodiscard]] argument<T> arg(std::string_view name, const T& value) noexcept {
  return {name, value};
}

namespace detail {

template<class T>
inline constexpr bool is_argument = false;
template<class T>
inline constexpr bool is_argument<argument<T>> = true;

void pack_request_head(pack_buffer& into, std::uint32_t id, std::string_view method);
void pack_notification_head(pack_buffer& into, std::string_view method);

template<class... Arguments>
void pack_parameters(pack_buffer& into, const Arguments&... arguments) {
  msgpack::packer out{into};
  if constexpr (sizeof...(Arguments) > 0 && (is_argument<Arguments> && ...)) {
    out.pack_map(sizeof...(Arguments));
    (out.pack(arguments.name).pack(arguments.value), ...);
  } else {
    static_assert(!(is_argument<Arguments> || ...), "name all parameters, or none");
    out.pack_array(sizeof...(Arguments));
    (out.pack(arguments), ...);
  }
}

// A response, checked. Throws remote_error, protocol_error.
class response {
 public:
  explicit response(const message& reply);
  [[nodiscard]] const msgpack::object& result() const noexcept { return result_; }

 private:
  response(std::string_view bytes, std::size_t head);

  unpacked fields_;  // or the result alone
  const msgpack::object& result_;
};

template<class Result>
Result unpack_result(const message& reply) {
  const response checked{reply};
  if constexpr (!std::is_void_v<Result>) {
    return decode<Result>(checked.result());
  }
}

}  // namespace detail

// How a call ended, for call_then.
template<class Result>
class call_result {
 public:
  explicit call_result(call_outcome&& came) noexcept : came_{std::move(came)} {}
  [[nodiscard]] call_end how() const noexcept { return came_.how; }
  // Throws what call would.
  Result get() const { return detail::unpack_result<Result>(came_.value()); }

 private:
  call_outcome came_;
};

template<class Item>
class result_stream;

class client {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit client(context& owner, const client_options& options = {});
  client(context& owner, const std::vector<endpoint>& connected,
         const client_options& options = {});
  client(context& owner, const endpoint& connected, const client_options& options = {});
  // Calls that have not ended end, closed.
  ~client();
  client(client&&) noexcept;
  client& operator=(client&&) noexcept;

  // Several servers may connect to one bound endpoint. They take calls in turn, and count as one.
  endpoint bind(const endpoint& where);
  // At most 64 endpoints, connected and bound. Throws error (unsupported) beyond.
  void connect(const endpoint& where);
  // Calls that are out there are lost. Nothing happens if it was not connected.
  void disconnect(const endpoint& where);

  // True as soon as so many servers are there. False: the limit passed first. Throws closed.
  [[nodiscard]] bool wait_for_servers(std::size_t count, duration limit);
  [[nodiscard]] std::vector<server_status> servers() const;
  [[nodiscard]] client_statistics statistics() const;

  // Throws timed_out, no_server, server_lost, overloaded, cancelled, closed; remote_error: what the
  // method threw; protocol_error: the result is no Result.
  template<class Result, class... Arguments>
  Result call(const call_options& options, std::string_view method, const Arguments&... arguments) {
    return detail::unpack_result<Result>(request(options, pack_call(method, arguments...)));
  }
  template<class Result, class... Arguments>
  Result call(std::string_view method, const Arguments&... arguments) {
    return call<Result>(call_options{}, method, arguments...);
  }

  // The same, without waiting. The future throws what call would.
  template<class Result, class... Arguments>
  [[nodiscard]] std::future<Result> async_call(const call_options& options, std::string_view method,
                                               const Arguments&... arguments) {
    std::promise<Result> promise;
    auto result = promise.get_future();
    // std::function wants what can be copied.
    auto shared = std::make_shared<std::promise<Result>>(std::move(promise));
    call_then<Result>(
        options,
        [shared](const call_result<Result>& came) {
          try {
            if constexpr (std::is_void_v<Result>) {
              came.get();
              shared->set_value();
            } else {
              shared->set_value(came.get());
            }
          } catch (...) {
            shared->set_exception(std::current_exception());
          }
        },
        method, arguments...);
    return result;
  }
  template<class Result, class... Arguments>
  [[nodiscard]] std::future<Result> async_call(std::string_view method,
                                               const Arguments&... arguments) {
    return async_call<Result>(call_options{}, method, arguments...);
  }

  // The same; calls done(call_result<Result>) once, when the call has ended.
  template<class Result, class Done, class... Arguments>
  void call_then(const call_options& options, Done done, std::string_view method,
                 const Arguments&... arguments) {
    request_then(options, pack_call(method, arguments...),
                 [done = std::move(done)](call_outcome&& came) mutable {
                   done(call_result<Result>{std::move(came)});
                 });
  }

  // A method with many results, one after the other; they come as they are asked for. The timeout
  // is that of each wait for the next.
  template<class Item, class... Arguments>
  [[nodiscard]] result_stream<Item> stream(const call_options& options, std::string_view method,
                                           const Arguments&... arguments);
  template<class Item, class... Arguments>
  [[nodiscard]] result_stream<Item> stream(std::string_view method, const Arguments&... arguments) {
    return stream<Item>(call_options{}, method, arguments...);
  }

  // Sends without asking for a reply. Throws no_server, timed_out: none could take it in time.
  template<class... Arguments>
  void notify(std::string_view method, const Arguments&... arguments) {
    detail::pack_buffer packed;
    detail::pack_notification_head(packed, method);
    detail::pack_parameters(packed, arguments...);
    send_notification(packed.take());
  }

  // A call whose parameters are packed already (a MessagePack array, or map of names).
  // The result of a reply is unpacked by unpack.
  void call_packed(const call_options& options, std::string_view method, const frame& parameters,
                   std::function<void(call_outcome&&)> done);
  // Throws remote_error, protocol_error.
  template<class Result>
  static Result unpack(const message& reply) {
    return detail::unpack_result<Result>(reply);
  }

  // Raw frames, to a plain REP socket or a server with handle_raw. Throws what call does, but for
  // remote_error and protocol_error.
  message request(const call_options& options, message outgoing);
  [[nodiscard]] message request(message outgoing) {
    return request(call_options{}, std::move(outgoing));
  }
  void request_then(const call_options& options, message outgoing,
                    std::function<void(call_outcome&&)> done);

  // told is called with what happens to connections over tcp and ipc, by a thread inside the
  // client, as the functions of calls are; within half a second if none is. Null ends it: told is
  // not called after that. Not to be called by told itself.
  void on_connection(std::function<void(const connection_event&)> told);

  void close() noexcept;

 private:
  template<class Item>
  friend class result_stream;
  struct state;
  struct stream_state;
  class stream_handle {
   public:
    stream_handle(client& owner, const call_options& options, message request);
    ~stream_handle();
    stream_handle(stream_handle&&) noexcept;
    stream_handle& operator=(stream_handle&&) noexcept;
    // Nothing: that was the last.
    [[nodiscard]] std::optional<message> next();

   private:
    std::unique_ptr<stream_state> state_;
  };

  template<class... Arguments>
  [[nodiscard]] message pack_call(std::string_view method, const Arguments&... arguments) {
    detail::pack_buffer packed;
    detail::pack_request_head(packed, next_request_number(), method);
    detail::pack_parameters(packed, arguments...);
    return packed.take();
  }
  [[nodiscard]] std::uint32_t next_request_number() noexcept;
  void send_notification(message outgoing);

  detail::home_ptr<state> state_;
};

// The results of one call. Belongs to one thread at a time; the client outlives it. To let it go
// before the end stops the method.
template<class Item>
class result_stream {
 public:
  // Nothing: that was the last. Throws what call does.
  [[nodiscard]] std::optional<Item> next() {
    if (const auto came = handle_.next()) {
      return decode<Item>(came->front());
    }
    return std::nullopt;
  }

  class iterator {
   public:
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(result_stream& of) : of_{&of} { ++*this; }
    const Item& operator*() const noexcept { return *item_; }
    iterator& operator++() {
      item_ = of_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
      return !at.item_;
    }

   private:
    result_stream* of_ = nullptr;
    std::optional<Item> item_;
  };
  // Once: for (int value : client.stream<int>("count")).
  [[nodiscard]] iterator begin() { return iterator{*this}; }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class client;
  explicit result_stream(client::stream_handle&& handle) : handle_{std::move(handle)} {}
  client::stream_handle handle_;
};

template<class Item, class... Arguments>
result_stream<Item> client::stream(const call_options& options, std::string_view method,
                                   const Arguments&... arguments) {
  return result_stream<Item>{stream_handle{*this, options, pack_call(method, arguments...)}};
}

}  // namespace parley
