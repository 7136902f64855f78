// SPDX-License-Identifier: MPL-2.0
//
// The answering side of request-reply: functions offered under names.
//
// Threads: any, at once; handle() may be called while the server runs. Handlers run on the server's
// own threads, server_options::workers at a time.
// Full: calls beyond server_options::queue are refused at once, with a hint when to come back.
// Late: a call whose deadline has passed, or whose caller has given up, is dropped before its
// handler runs; one that runs already is asked to stop, if it cares.
// Wire: docs/wire.md. MessagePack-RPC
// (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md); plain REQ and DEALER sockets
// can call a server.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/signature.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace parley {

class monitor;

namespace detail {
struct open_call;
class reply_duty;
}  // namespace detail

struct server_options {
  unsigned workers = 1;  // threads that run handlers
  // Calls accepted and not yet answered, beside one for each worker. One more is refused.
  std::size_t queue = 10'000;
  int limit =
      10'000;  // replies kept for a client that does not read; more are dropped, and counted
  // Replies to idempotent calls, kept for callers that ask again: so many, for so long, and 16 MiB
  // at most.
  std::size_t remembered = 1000;
  std::chrono::milliseconds remembered_for{60'000};
  std::chrono::milliseconds linger{1000};
  // A client that sends a larger frame is cut off, and not connected to again by a server that
  // connects.
  std::size_t max_frame_bytes = default_max_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

// Calls since the server was made, by what became of them.
struct server_statistics {
  std::uint64_t answered = 0;     // by a handler, with a result or an error
  std::uint64_t refused = 0;      // overloaded
  std::uint64_t expired = 0;      // the deadline passed before a handler ran, or told it to stop
  std::uint64_t cancelled = 0;    // by the caller, or streams whose caller is gone
  std::uint64_t remembered = 0;   // asked again, and answered from memory
  std::uint64_t undelivered = 0;  // replies whose client was gone, or did not read
  std::uint64_t nonsense = 0;     // bundles, or messages in them, that cannot be read
  std::size_t open = 0;           // accepted, and not yet answered
};

// A call as its handler sees it, if the handler takes one as its first parameter. Any thread may
// use it, also after the handler has returned.
class call_context {
 public:
  using clock = std::chrono::steady_clock;

  // time_point::max() and duration::max(): the caller set none.
  [[nodiscard]] clock::time_point deadline() const noexcept;
  [[nodiscard]] clock::duration time_left() const noexcept;
  // Asks to stop: the caller has given up, the deadline has passed, a stream's caller is gone, or
  // the server closes.
  [[nodiscard]] std::stop_token stop_token() const;

 private:
  friend class server;
  template<class Result>
  friend class reply;
  template<class Item>
  friend class results;
  explicit call_context(std::shared_ptr<detail::open_call> call) noexcept
      : call_{std::move(call)} {}
  std::shared_ptr<detail::open_call> call_;
};

// The reply to a call, to be given once, then or later, by any thread: for a handler that takes
// one as its first parameter and returns void. Copies are the same reply; if the last one goes
// before it was given, the caller gets the error "no_reply".
template<class Result>
class reply {
 public:
  // Whoever comes second says nothing.
  template<class Given = Result>
  requires(!std::is_void_v<Given>) void send(const Given& result) const {
    send_frame(encode(result));
  }
  void send() const requires std::is_void_v<Result> { send_frame(encode(msgpack::type::nil_t{})); }
  void fail(std::string_view type, std::string_view text) const;

  [[nodiscard]] const call_context& context() const noexcept { return context_; }

 private:
  friend class server;
  explicit reply(call_context of);
  void send_frame(const frame& result) const;

  call_context context_;
  std::shared_ptr<detail::reply_duty> duty_;
};

// Results of one call, as many as the handler likes: for a handler that takes one as its first
// parameter, by reference, and returns void. Belongs to the handler's thread.
template<class Item>
class results {
 public:
  // Waits until the caller takes one more. False: the caller wants no more, or is gone; return.
  [[nodiscard]] bool send(const Item& item) { return send_frame(encode(item)); }

  [[nodiscard]] const call_context& context() const noexcept { return context_; }

 private:
  friend class server;
  explicit results(call_context of) noexcept : context_{std::move(of)} {}
  [[nodiscard]] bool send_frame(frame item);

  call_context context_;
};

namespace detail {

// What a handler's first parameter stands for.
template<class T>
struct special_parameter {
  static constexpr bool is_one = false;
};
template<>
struct special_parameter<call_context> {
  static constexpr bool is_one = true;
};
template<class Result>
struct special_parameter<reply<Result>> {
  static constexpr bool is_one = true;
  using result = Result;
};
template<class Item>
struct special_parameter<results<Item>> {
  static constexpr bool is_one = true;
  using result = Item;
};

template<class T>
inline constexpr bool is_reply = false;
template<class Result>
inline constexpr bool is_reply<reply<Result>> = true;
template<class T>
inline constexpr bool is_results = false;
template<class Item>
inline constexpr bool is_results<results<Item>> = true;
template<class T>
inline constexpr bool is_optional = false;
template<class T>
inline constexpr bool is_optional<std::optional<T>> = true;

// The parameters of a request, by position or by name. Throws protocol_error.
class parameters {
 public:
  parameters(const msgpack::object& packed, const std::vector<std::string>& names,
             std::size_t count);

  template<class T>
  [[nodiscard]] T get(std::size_t index) const {
    const msgpack::object* const found = find(index);
    if (found == nullptr) {
      if constexpr (is_optional<T>) {
        return std::nullopt;
      } else {
        throw_missing(index);
      }
    }
    return decode<T>(*found);
  }

 private:
  [[nodiscard]] const msgpack::object* find(std::size_t index) const noexcept;
  [[noreturn]] void throw_missing(std::size_t index) const;

  const msgpack::object& packed_;
  const std::vector<std::string>& names_;
  std::size_t count_;
};

}  // namespace detail

class server {
 public:
  // Takes a request's frames and returns the reply's.
  using raw_handler = std::function<message(message request)>;
  using duration = std::chrono::steady_clock::duration;

  explicit server(context& owner, const server_options& options = {});
  server(context& owner, const endpoint& bound, const server_options& options = {});
  // Returns once the handlers that are running have returned; they are asked to stop. Calls that
  // wait are dropped. Requires: not called by a handler.
  ~server();
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);

  // Offers function under name; the types of its parameters and result are taken from it. A first
  // parameter call_context, reply<Result> or results<Item>& is not the caller's. A std::optional at
  // the end may be left out. What it throws reaches the caller as remote_error: type and text of a
  // remote_error, else the exception's type and what().
  template<class Function>
  void handle(std::string_view name, Function function) {
    handle(name, {}, std::move(function));
  }
  // The same; callers may give the parameters by these names too.
  template<class Function>
  void handle(std::string_view name, std::initializer_list<std::string_view> parameter_names,
              Function function) {
    add(name, parameter_names, std::function{std::move(function)});
  }
  // Offers what takes any parameters: a MessagePack array, or a map of names; and packs its result
  // itself.
  using packed_handler =
      std::function<frame(const call_context& about, const msgpack::object& parameters)>;
  void handle_packed(std::string_view name, packed_handler function);
  // Takes every request as raw frames; named methods are then not looked at.
  void handle_raw(raw_handler handler);

  [[nodiscard]] server_statistics statistics() const;

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  template<class Result>
  friend class reply;
  template<class Item>
  friend class results;
  friend class detail::reply_duty;
  struct state;

  // Nothing: the reply comes later.
  using handler = std::function<std::optional<frame>(const call_context& about,
                                                     const msgpack::object& parameters)>;
  struct method {
    detail::signature looks;
    handler run;
  };

  void add_method(std::string_view name, method&& made);
  static void answer(const call_context& to, const frame& result);
  static void fail(const call_context& to, std::string_view type, std::string_view text);
  [[nodiscard]] static bool send_item(const call_context& to, frame item);
  [[nodiscard]] static std::optional<frame> end_of_items(const call_context& to);

  template<class Result, class... Parameters>
  void add(std::string_view name, std::initializer_list<std::string_view> names,
           std::function<Result(Parameters...)> function) {
    if constexpr (sizeof...(Parameters) == 0) {
      add_plain<Result>(name, names, std::move(function), detail::types<>{});
    } else {
      using first = std::tuple_element_t<0, std::tuple<std::remove_cvref_t<Parameters>...>>;
      if constexpr (detail::special_parameter<first>::is_one) {
        add_special<Result>(name, names, std::move(function), detail::types<Parameters...>{});
      } else {
        add_plain<Result>(name, names, std::move(function), detail::types<Parameters...>{});
      }
    }
  }

  // No special parameter.
  template<class Result, class Function, class... Parameters>
  void add_plain(std::string_view name, std::initializer_list<std::string_view> names,
                 Function function, detail::types<Parameters...> own) {
    auto looks = detail::signature_of<Result>(names, own);
    handler run = [function = std::move(function), names = looks.parameter_names()](
                      const call_context&, const msgpack::object& given) {
      return std::optional{result_of<Result>([&] {
        return std::apply(function, decoded(given, names, detail::types<Parameters...>{}));
      })};
    };
    add_method(name, {std::move(looks), std::move(run)});
  }

  template<class Result, class Function, class First, class... Parameters>
  void add_special(std::string_view name, std::initializer_list<std::string_view> names,
                   Function function, detail::types<First, Parameters...>) {
    using special = std::remove_cvref_t<First>;
    using own = detail::types<Parameters...>;
    if constexpr (std::is_same_v<special, call_context>) {
      auto looks = detail::signature_of<Result>(names, own{});
      handler run = [function = std::move(function), names = looks.parameter_names()](
                        const call_context& about, const msgpack::object& given) {
        return std::optional{result_of<Result>([&] {
          return std::apply(function,
                            std::tuple_cat(std::make_tuple(about), decoded(given, names, own{})));
        })};
      };
      add_method(name, {std::move(looks), std::move(run)});
    } else {
      static_assert(std::is_void_v<Result>, "a handler with a reply or results returns void");
      auto looks =
          detail::signature_of<typename detail::special_parameter<special>::result>(names, own{});
      looks.streams = detail::is_results<special>;
      handler run = [function = std::move(function), names = looks.parameter_names()](
                        const call_context& about,
                        const msgpack::object& given) -> std::optional<frame> {
        auto taken = decoded(given, names, own{});
        special first{about};
        std::apply([&](auto&... each) { function(first, std::move(each)...); }, taken);
        if constexpr (detail::is_reply<special>) {
          return std::nullopt;
        } else {
          return end_of_items(about);
        }
      };
      add_method(name, {std::move(looks), std::move(run)});
    }
  }

  template<class... Parameters>
  [[nodiscard]] static std::tuple<std::remove_cvref_t<Parameters>...> decoded(
      const msgpack::object& given, const std::vector<std::string>& names,
      detail::types<Parameters...>) {
    const detail::parameters all{given, names, sizeof...(Parameters)};
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      // Braces: the parameters are decoded from left to right.
      return std::tuple<std::remove_cvref_t<Parameters>...>{
          all.get<std::remove_cvref_t<Parameters>>(Index)...};
    }
    (std::index_sequence_for<Parameters...>{});
  }

  template<class Result, class Call>
  [[nodiscard]] static frame result_of(Call call) {
    if constexpr (std::is_void_v<Result>) {
      call();
      return encode(msgpack::type::nil_t{});
    } else {
      return encode(call());
    }
  }

  detail::home_ptr<state> state_;
};

namespace detail {

// Somebody is to reply; if nobody does, this does. A handler that throws is answered for by who
// called it.
class reply_duty {
 public:
  explicit reply_duty(call_context of) noexcept : of_{std::move(of)} {}
  ~reply_duty() {
    if (std::uncaught_exceptions() == thrown_) {
      server::fail(of_, "no_reply", "the handler let the reply go");
    }
  }
  reply_duty(const reply_duty&) = delete;
  reply_duty& operator=(const reply_duty&) = delete;

 private:
  call_context of_;
  int thrown_ = std::uncaught_exceptions();
};

}  // namespace detail

template<class Result>
reply<Result>::reply(call_context of)
    : context_{std::move(of)}, duty_{std::make_shared<detail::reply_duty>(context_)} {}

template<class Result>
void reply<Result>::send_frame(const frame& result) const {
  server::answer(context_, result);
}

template<class Result>
void reply<Result>::fail(std::string_view type, std::string_view text) const {
  server::fail(context_, type, text);
}

template<class Item>
bool results<Item>::send_frame(frame item) {
  return server::send_item(context_, std::move(item));
}

}  // namespace parley
