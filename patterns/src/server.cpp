// SPDX-License-Identifier: MPL-2.0
#include <parley/server.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include "call_desk.hpp"
#include "named_ends.hpp"
#include "rpc.hpp"
#include "server_core.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <optional>
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
constexpr std::string_view too_slow = "too_slow";
constexpr std::string_view too_many_results = "too_many_results";
// Of a method with many results, for a caller that takes but one.
constexpr std::size_t most_items = 100'000;
constexpr std::string_view no_words = "the handler threw something that is no std::exception";

std::string_view text_of(const msgpack::object& value) noexcept {
  return value.type == msgpack::type::STR ? std::string_view{value.via.str.ptr, value.via.str.size}
                                          : std::string_view{};
}

std::string type_name(const std::exception& thrown) {
  const char* mangled = typeid(thrown).name();
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable{
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free};
  return status == 0 ? readable.get() : mangled;
}

// Replies; none for a notification.
void put_result(const detail::open_call& to, const frame& result, message& reply) {
  if (to.wants_reply) {
    reply.push_back(detail::pack_result(to.id, result));
  }
}
void put_error(const detail::open_call& to, std::string_view type, std::string_view text,
               message& reply) {
  if (to.wants_reply) {
    reply.push_back(detail::pack_error(to.id, type, text));
  }
}

}  // namespace

namespace detail {

parameters::parameters(const msgpack::object& packed, const std::vector<std::string>& names,
                       std::size_t count)
    : packed_{packed}, names_{names}, count_{count} {
  if (packed.type == msgpack::type::ARRAY) {
    if (packed.via.array.size > count) {
      throw protocol_error{"expected " + std::to_string(count) + " parameters, found " +
                           std::to_string(packed.via.array.size)};
    }
    return;
  }
  if (packed.type != msgpack::type::MAP) {
    throw protocol_error{"a request's parameters must be an array, or a map of names"};
  }
  if (count_ == 1 && names_.front().empty()) {
    return;  // the map is the one parameter
  }
  for (std::uint32_t index = 0; index < packed.via.map.size; ++index) {
    const std::string_view name = text_of(packed.via.map.ptr[index].key);
    if (name.empty() || std::find(names_.begin(), names_.end(), name) == names_.end()) {
      throw protocol_error{"no parameter '" + std::string{name} + "'"};
    }
  }
}

const msgpack::object* parameters::find(std::size_t index) const noexcept {
  if (packed_.type == msgpack::type::ARRAY) {
    return index < packed_.via.array.size ? &packed_.via.array.ptr[index] : nullptr;
  }
  if (count_ == 1 && names_.front().empty()) {
    return &packed_;
  }
  for (std::uint32_t at = 0; at < packed_.via.map.size; ++at) {
    if (text_of(packed_.via.map.ptr[at].key) == names_[index]) {
      return &packed_.via.map.ptr[at].val;
    }
  }
  return nullptr;
}

void parameters::throw_missing(std::size_t index) const {
  if (packed_.type == msgpack::type::MAP) {
    throw protocol_error{"parameter '" + names_[index] + "' is missing"};
  }
  throw protocol_error{"expected " + std::to_string(count_) + " parameters, found " +
                       std::to_string(packed_.via.array.size)};
}

}  // namespace detail

struct server::state {
  state(context& owner, const server_options& options)
      : core{std::make_shared<detail::server_core>(owner, options)}, names{owner} {
    core->start([this](const call& next, message& reply) { return execute(next, reply); });
  }
  ~state() {
    names.clear();
    core->close();
  }

  using call = detail::server_core::call;

  bool execute(const call& next, message& reply) {
    std::shared_ptr<const raw_handler> raw_now;
    if (is_raw.load(std::memory_order_relaxed)) {  // the mutex orders what it stands for
      const std::shared_lock lock{handlers};
      raw_now = raw;
    }
    try {
      if (!raw_now) {
        return run_call(next, reply);
      }
      run_raw(*raw_now, std::move(next->payload), reply);
    } catch (const std::bad_alloc&) {
      reply.clear();  // this request asked for too much; the others need not know
    }
    return true;
  }

  static void run_raw(const raw_handler& function, message&& request, message& reply) {
    try {
      reply = function(std::move(request));
      if (reply.empty()) {
        reply.emplace_back();
      }
    } catch (const std::exception& failure) {
      reply = detail::pack_error(0, type_name(failure), failure.what());
    } catch (...) {
      reply = detail::pack_error(0, unknown_exception, no_words);
    }
  }

  bool run_call(const call& next, message& reply) {
    std::optional<detail::rpc_request> request;
    try {
      request.emplace(next->payload.front());
    } catch (const protocol_error& failure) {
      // Answered all the same: a plain REQ socket would wait for ever.
      reply.push_back(detail::pack_error(0, wrong_request, failure.what()));
      return true;
    }
    next->id = request->id.value_or(0);
    next->wants_reply = request->id.has_value();

    std::shared_ptr<const method> found;
    {
      const std::shared_lock lock{handlers};
      const auto at = methods.find(request->method);
      if (at != methods.end()) {
        found = at->second;
      }
    }
    if (!found) {
      put_error(*next, unknown_method, "no method '" + std::string{request->method} + "'", reply);
      return true;
    }
    try {
      const auto result = found->run(call_context{next}, *request->parameters);
      if (!result) {
        return false;
      }
      put_result(*next, *result, reply);
    } catch (const remote_error& failure) {
      put_error(*next, failure.type(), failure.text(), reply);
    } catch (const protocol_error& failure) {
      put_error(*next, wrong_parameters, failure.what(), reply);
    } catch (const std::exception& failure) {
      put_error(*next, type_name(failure), failure.what(), reply);
    } catch (...) {
      put_error(*next, unknown_exception, no_words, reply);
    }
    return true;
  }

  std::shared_ptr<detail::server_core> core;
  std::shared_mutex handlers;
  std::map<std::string, std::shared_ptr<const method>, std::less<>> methods;
  std::shared_ptr<const raw_handler> raw;
  std::atomic<bool> is_raw{false};  // spares calls by name the mutex
  detail::named_ends names;
};

server::server(context& owner, const server_options& options) : state_{new state{owner, options}} {
  handle("parley.methods", [from = state_.get()] {
    const std::shared_lock lock{from->handlers};
    std::vector<detail::signature> all;
    for (const auto& [name, each] : from->methods) {
      all.push_back(each->looks);
    }
    return all;
  });
}

server::server(context& owner, const endpoint& bound, const server_options& options)
    : server{owner, options} {
  bind(bound);
}

server::~server() = default;
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;

endpoint server::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) { return self.core->link().bind(real); });
}

void server::connect(const endpoint& where) {
  detail::server_core* const core = state_->core.get();
  state_->names.connect(
      where, [core](const endpoint& found) { core->link().connect(found); },
      [core](const endpoint& gone) { core->link().disconnect(gone); });
}

void server::add_method(std::string_view name, method&& made) {
  made.looks.name = name;
  const std::unique_lock lock{state_->handlers};
  state_->methods[std::string{name}] = std::make_shared<const method>(std::move(made));
}

void server::handle_packed(std::string_view name, packed_handler function) {
  detail::signature looks;
  looks.parameters = {{{}, "..."}};
  looks.result = "value";
  add_method(
      name, {std::move(looks), [function = std::move(function)](const call_context& about,
                                                                const msgpack::object& parameters) {
               return std::optional{function(about, parameters)};
             }});
}

void server::handle_raw(raw_handler function) {
  const std::unique_lock lock{state_->handlers};
  state_->raw = std::make_shared<const raw_handler>(std::move(function));
  state_->is_raw = true;
}

server_statistics server::statistics() const { return state_->core->statistics(); }

monitor server::watch() { return state_->core->link().watch(); }

void server::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->core->close();
  }
}

// Calls.

void server::answer(const call_context& to, const frame& result) {
  detail::open_call& call = *to.call_;
  if (const auto core = call.owner.lock()) {
    message reply;
    put_result(call, result, reply);
    core->answer(call, reply);
  }
}

void server::fail(const call_context& to, std::string_view type, std::string_view text) {
  detail::open_call& call = *to.call_;
  if (const auto core = call.owner.lock()) {
    message reply;
    put_error(call, type, text, reply);
    core->answer(call, reply);
  }
}

bool server::send_item(const call_context& to, frame item) {
  detail::open_call& call = *to.call_;
  if (!call.is_streamed()) {
    if (call.items.size() >= most_items) {
      call.is_given_up = true;
      return false;
    }
    call.items.push_back(std::move(item));
    return !to.stop_token().stop_requested();
  }
  const auto core = call.owner.lock();
  return core && core->send_item(to.call_, std::move(item));
}

// A caller that takes but one result gets them all in an array.
std::optional<frame> server::end_of_items(const call_context& to) {
  const detail::open_call& call = *to.call_;
  if (call.is_given_up) {  // who reads on must not take what came for all there is
    if (!call.is_streamed()) {
      throw remote_error{std::string{too_many_results},
                         "more results than a caller that takes them at once is given"};
    }
    throw remote_error{
        std::string{too_slow},
        "the caller took too long to take more results, or there was no memory for one"};
  }
  detail::pack_buffer packed;
  msgpack::packer out{packed};
  if (call.is_streamed()) {
    out.pack_nil();
  } else {
    out.pack_array(static_cast<std::uint32_t>(call.items.size()));
    for (const frame& each : call.items) {
      packed.write(each.view().data(), each.size());
    }
  }
  return packed.take();
}

call_context::clock::time_point call_context::deadline() const noexcept {
  call_->told_deadline = true;
  return call_->deadline;
}

call_context::clock::duration call_context::time_left() const noexcept {
  const clock::time_point until = deadline();
  return until == clock::time_point::max()
             ? clock::duration::max()
             : std::max(until - clock::now(), clock::duration::zero());
}

std::stop_token call_context::stop_token() const {
  const auto core = call_->owner.lock();
  return core ? core->stop_token(call_) : std::stop_token{};
}

}  // namespace parley
