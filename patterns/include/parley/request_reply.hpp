// SPDX-License-Identifier: MPL-2.0
//
// Request-reply: a server has methods by name, a client calls them.
//
// Threads: client and server may be used from any thread at once; handle() may be called while the
// server runs. Handlers run on the server's own threads, server_options::workers at a time.
// Time: every call ends within its timeout, in a result, a remote_error or timed_out.
// Wire: MessagePack-RPC (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md), one frame
// a message, between ROUTER and DEALER with REQ's empty delimiter (RFC 28): plain REQ and DEALER
// sockets can call a server, a client can call plain REP sockets. See docs/wire.md.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace parley {

class monitor;

struct server_options {
  unsigned workers = 1;  // threads that run handlers
  int limit = 1000;      // requests, and replies, kept for each client
  std::chrono::milliseconds linger{1000};
  // A client that sends a larger frame is cut off, and not connected to again by a server that
  // connects.
  std::size_t max_frame_bytes = default_max_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class server {
 public:
  // Takes the parameters, a MessagePack array, and returns the packed result.
  using method = std::function<frame(const msgpack::object& parameters)>;
  // Takes a request's frames and returns the reply's.
  using raw_handler = std::function<message(message request)>;

  explicit server(context& owner, const server_options& options = {});
  server(context& owner, const endpoint& bound, const server_options& options = {});
  // Returns once the handlers that are running have returned. Requires: not called by one of them.
  ~server();
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);

  // Offers function under name; the types of its parameters and result are taken from it. What it
  // throws reaches the caller as remote_error.
  template<class Function>
  void handle(std::string_view name, Function function) {
    handle_method(name, wrap(std::function{std::move(function)}));
  }
  // Takes every request as raw frames; named methods are then not looked at.
  void handle_raw(raw_handler handler);

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  void handle_method(std::string_view name, method handler);
  [[noreturn]] static void throw_wrong_count(std::size_t expected, const msgpack::object& found);

  template<class Result, class... Parameters>
  static method wrap(std::function<Result(Parameters...)> function) {
    return [function = std::move(function)](const msgpack::object& parameters) -> frame {
      if (parameters.type != msgpack::type::ARRAY ||
          parameters.via.array.size != sizeof...(Parameters)) {
        throw_wrong_count(sizeof...(Parameters), parameters);
      }
      return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        // Braces: the parameters are decoded from left to right.
        std::tuple<std::remove_cvref_t<Parameters>...> decoded{
            decode<std::remove_cvref_t<Parameters>>(parameters.via.array.ptr[Index])...};
        if constexpr (std::is_void_v<Result>) {
          std::apply(function, std::move(decoded));
          return encode(msgpack::type::nil_t{});
        } else {
          return encode(std::apply(function, std::move(decoded)));
        }
      }
      (std::index_sequence_for<Parameters...>{});
    };
  }

  struct state;
  detail::home_ptr<state> state_;
};

struct client_options {
  std::chrono::milliseconds timeout{5000};  // of each call, unless the call has its own
  int limit = 1000;                         // requests kept for each server that lags behind
  // A server that sends a larger frame is cut off, and not connected to again.
  std::size_t max_frame_bytes = any_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class client {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit client(context& owner, const client_options& options = {});
  // With several servers, calls go to each in turn.
  client(context& owner, const std::vector<endpoint>& connected,
         const client_options& options = {});
  client(context& owner, const endpoint& connected, const client_options& options = {});
  // Calls in flight end with parley::closed.
  ~client();
  client(client&&) noexcept;
  client& operator=(client&&) noexcept;

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);

  // Throws timed_out, remote_error, protocol_error (the result is not a Result), closed.
  template<class Result, class... Arguments>
  Result call(std::string_view method, const Arguments&... arguments) {
    return call_for<Result>(timeout(), method, arguments...);
  }
  template<class Result, class... Arguments>
  Result call_for(duration limit, std::string_view method, const Arguments&... arguments) {
    const std::uint64_t id = next_id();
    return unpack_result<Result>(
        exchange(id, pack_request(id, method, encode(std::tie(arguments...))), limit));
  }

  // The same, without waiting for the reply; while no server can take the request, waits for that.
  // The future throws what call would.
  template<class Result, class... Arguments>
  [[nodiscard]] std::future<Result> async_call(std::string_view method,
                                               const Arguments&... arguments) {
    auto promise = std::make_shared<std::promise<Result>>();
    auto result = promise->get_future();
    const std::uint64_t id = next_id();
    start(id, pack_request(id, method, encode(std::tie(arguments...))), timeout(),
          [promise](const outcome& reply) {
            try {
              if constexpr (std::is_void_v<Result>) {
                unpack_result<Result>(reply.value());
                promise->set_value();
              } else {
                promise->set_value(unpack_result<Result>(reply.value()));
              }
            } catch (...) {
              promise->set_exception(std::current_exception());
            }
          });
    return result;
  }

  // What a call without a fixed type comes to: the packed result, or an exception.
  class outcome {
   public:
    outcome(message reply) : reply_{std::move(reply)} {}
    outcome(std::exception_ptr failure) : failure_{std::move(failure)} {}
    [[nodiscard]] const message& value() const {
      if (failure_) {
        std::rethrow_exception(failure_);
      }
      return reply_;
    }

   private:
    message reply_;
    std::exception_ptr failure_;
  };

  // Calls with parameters that are packed already (a MessagePack array). done runs exactly once, on
  // any thread that is inside the client, one of its own and this one included; it must neither
  // wait nor throw, nor destroy the client.
  void call_packed(std::string_view method, const frame& parameters, duration limit,
                   std::function<void(const outcome& reply)> done);

  // The result in a reply to call_packed. Throws remote_error, protocol_error.
  template<class Result>
  static Result unpack_result(const message& reply) {
    const msgpack::object_handle response = parse_response(reply);
    if constexpr (!std::is_void_v<Result>) {
      return decode<Result>(response.get().via.array.ptr[3]);
    }
  }

  // Sends without asking for a reply. Throws timed_out when no server can take it in time.
  template<class... Arguments>
  void notify(std::string_view method, const Arguments&... arguments) {
    send_notification(method, encode(std::tie(arguments...)));
  }

  // Raw frames to a plain REP socket or to a server with handle_raw. Throws timed_out, closed.
  [[nodiscard]] message request(message outgoing) {
    return request_for(timeout(), std::move(outgoing));
  }
  [[nodiscard]] message request_for(duration limit, message outgoing);

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  [[nodiscard]] duration timeout() const noexcept;
  [[nodiscard]] std::uint64_t next_id();
  [[nodiscard]] static frame pack_request(std::uint64_t id, std::string_view method,
                                          const frame& parameters);
  // The response as its array of four. Throws remote_error, protocol_error.
  [[nodiscard]] static msgpack::object_handle parse_response(const message& reply);
  [[nodiscard]] message exchange(std::uint64_t id, message request, duration limit);
  void start(std::uint64_t id, message request, duration limit,
             std::function<void(const outcome&)> done);
  void send_notification(std::string_view method, const frame& parameters);

  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
