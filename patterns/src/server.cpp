// SPDX-License-Identifier: MPL-2.0
#include <parley/request_reply.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include "envelope.hpp"
#include "rpc.hpp"
#include "shared_socket.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <thread>
#include <typeinfo>
#include <utility>

namespace parley {
namespace {

// What a failed call is called on the wire.
constexpr std::string_view unknown_method = "unknown_method";
constexpr std::string_view wrong_parameters = "wrong_parameters";
constexpr std::string_view wrong_request = "wrong_request";
constexpr std::string_view unknown_exception = "unknown";
constexpr std::string_view no_words = "the handler threw something that is no std::exception";

std::string type_name(const std::exception& thrown) {
  const char* mangled = typeid(thrown).name();
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable{
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free};
  return status == 0 ? readable.get() : mangled;
}

socket_options server_socket(const server_options& options) {
  socket_options chosen;
  chosen.send_limit = options.limit;
  chosen.receive_limit = options.limit;
  chosen.linger = options.linger;
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

}  // namespace

struct server::state {
  state(context& owner, const server_options& options)
      : link{owner, socket_kind::router, server_socket(options)} {
    if (options.workers < 1) {
      throw config_error{"server_options.workers must be at least 1"};
    }
    try {
      for (unsigned count = 0; count < options.workers; ++count) {
        workers.emplace_back([this] { serve(); });
      }
    } catch (...) {
      close();
      throw;
    }
  }

  ~state() { close(); }

  void close() noexcept {
    link.close();
    const std::lock_guard lock{joining};
    for (std::thread& each : workers) {
      if (each.joinable() && each.get_id() != std::this_thread::get_id()) {
        each.join();
      }
    }
  }

  void serve() {
    try {
      for (;;) {
        if (auto request = link.receive_until(detail::shared_socket::time_point::max())) {
          try {
            answer(std::move(*request));
          } catch (const std::bad_alloc&) {
            // This request asked for too much; the others need not know.
          }
        }
      }
    } catch (const closed&) {
      // The server, or its context, is going.
    }
  }

  void answer(message request) {
    const std::size_t address = detail::envelope_size(request, 1);
    if (address == request.size()) {
      return;  // an address without a request: there is nothing to answer
    }
    message reply;
    for (std::size_t index = 0; index < address; ++index) {
      reply.push_back(request[index]);
    }
    request.drop_front(address);

    message payload = run(std::move(request));
    if (payload.empty()) {
      return;  // a notification
    }
    for (frame& each : payload) {
      reply.push_back(std::move(each));
    }
    // A client that is gone, or that does not read its replies, does not hold the others up.
    link.with([&](socket& native) { static_cast<void>(native.try_send(std::move(reply))); });
  }

  message run(message request) {
    std::shared_ptr<const raw_handler> raw_now;
    {
      const std::shared_lock lock{handlers};
      raw_now = raw;
    }
    return raw_now ? run_raw(*raw_now, std::move(request)) : run_call(request.front());
  }

  static message run_raw(const raw_handler& handler, message request) {
    try {
      message reply = handler(std::move(request));
      return reply.empty() ? message{frame{}} : reply;
    } catch (const std::exception& failure) {
      return detail::pack_error(0, type_name(failure), failure.what());
    } catch (...) {
      return detail::pack_error(0, unknown_exception, no_words);
    }
  }

  message run_call(const frame& payload) {
    std::optional<detail::rpc_request> request;
    try {
      request = detail::parse_request(payload);
    } catch (const protocol_error& failure) {
      // Answered all the same: a plain REQ socket would wait for ever.
      return detail::pack_error(0, wrong_request, failure.what());
    }
    const std::uint32_t id = request->id.value_or(0);
    const auto refuse = [&](std::string_view type, std::string_view text) {
      return request->id ? message{detail::pack_error(id, type, text)} : message{};
    };

    std::shared_ptr<const method> handler;
    {
      const std::shared_lock lock{handlers};
      const auto found = methods.find(request->method);
      if (found != methods.end()) {
        handler = found->second;
      }
    }
    if (!handler) {
      return refuse(unknown_method, "no method '" + std::string{request->method} + "'");
    }
    try {
      const frame result = (*handler)(*request->parameters);
      return request->id ? message{detail::pack_result(id, result)} : message{};
    } catch (const protocol_error& failure) {
      return refuse(wrong_parameters, failure.what());
    } catch (const std::exception& failure) {
      return refuse(type_name(failure), failure.what());
    } catch (...) {
      return refuse(unknown_exception, no_words);
    }
  }

  std::shared_mutex handlers;
  std::map<std::string, std::shared_ptr<const method>, std::less<>> methods;
  std::shared_ptr<const raw_handler> raw;

  detail::shared_socket link;
  std::mutex joining;
  std::vector<std::thread> workers;
};

server::server(context& owner, const server_options& options) : state_{new state{owner, options}} {}

server::server(context& owner, const endpoint& bound, const server_options& options)
    : server{owner, options} {
  bind(bound);
}

server::~server() = default;
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;

endpoint server::bind(const endpoint& where) {
  return state_->link.with([&](socket& native) { return native.bind(where); });
}

void server::connect(const endpoint& where) {
  state_->link.with([&](socket& native) { native.connect(where); });
}

void server::handle_method(std::string_view name, method handler) {
  const std::unique_lock lock{state_->handlers};
  state_->methods[std::string{name}] = std::make_shared<const method>(std::move(handler));
}

void server::handle_raw(raw_handler handler) {
  const std::unique_lock lock{state_->handlers};
  state_->raw = std::make_shared<const raw_handler>(std::move(handler));
}

void server::throw_wrong_count(std::size_t expected, const msgpack::object& found) {
  const std::size_t count = found.type == msgpack::type::ARRAY ? found.via.array.size : 0;
  throw protocol_error{"expected " + std::to_string(expected) + " parameters, found " +
                       std::to_string(count)};
}

monitor server::watch() { return state_->link.watch(); }

void server::close() noexcept {
  if (state_.is_here()) {
    state_->close();
  }
}

}  // namespace parley
