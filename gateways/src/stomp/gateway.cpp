// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/stomp_gateway.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdio>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "stomp/connection.hpp"
#include "stomp/native_side.hpp"
#include "stomp/router.hpp"

namespace parley {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct stomp_gateway::state {
  state(context& owner, const stomp_gateway_options& chosen)
      : options{chosen},
        outside{owner, io, options.curve_out, options.curve_in,
                [this](std::string_view what) { report(what); }},
        router{options.limits, outside} {
    outside.serve(router);
    listen();
    thread = std::thread{[this] { run(); }};
  }

  ~state() { stop(); }

  // The last net: memory that ran out, say, fails one step and not the process.
  void run() {
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& problem) {
        report(problem.what());
      }
    }
  }

  void report(std::string_view what) const {
    if (options.on_error) {
      options.on_error(what);
    } else {
      std::fprintf(stderr, "parley: stomp gateway: %.*s\n", static_cast<int>(what.size()),
                   what.data());
    }
  }

  void listen() {
    const std::string where = options.host + ":" + std::to_string(options.port);
    try {
      const auto found = tcp::resolver{io}.resolve(options.host, std::to_string(options.port),
                                                   tcp::resolver::passive);
      const tcp::endpoint local = *found.begin();
      acceptor.open(local.protocol());
      acceptor.set_option(tcp::acceptor::reuse_address{true});
      acceptor.bind(local);
      acceptor.listen();
      port = acceptor.local_endpoint().port();
    } catch (const boost::system::system_error& problem) {
      throw error{errc::cannot_bind, "stomp " + where + " (" + problem.code().message() + ")"};
    }
  }

  void accept() {
    acceptor.async_accept([this](const error_code& failure, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (!failure) {
        accept_failing = false;
        admit(std::move(socket));
        return accept();
      }
      // A peer that left again is no reason to wait; running out of descriptors is.
      if (failure == asio::error::connection_aborted) return accept();
      if (!std::exchange(accept_failing, true)) {
        report("cannot accept connections: " + failure.message() + "; trying again");
      }
      pause.expires_after(std::chrono::milliseconds{100});
      pause.async_wait([this](const error_code& cancelled) {
        if (!cancelled && acceptor.is_open()) accept();
      });
    });
  }

  void admit(tcp::socket socket) {
    // So many are told why at a time; more are just closed.
    constexpr std::size_t refused_at_once = 100;
    const bool welcome = admitted < options.limits.connections;
    if (!welcome) {
      router.count().refused.add();
      if (connections.size() - admitted >= refused_at_once) return;
    }
    auto made = std::make_shared<stomp::connection>(router, std::move(socket), options.linger,
                                                    [this, welcome](stomp::connection& gone) {
                                                      admitted -= welcome ? 1 : 0;
                                                      forget(gone);
                                                    });
    connections.emplace(made.get(), made);
    admitted += welcome ? 1 : 0;
    if (welcome) {
      made->start();
    } else {
      made->shut_down("too many connections: at most " +
                      std::to_string(options.limits.connections));
    }
  }

  void forget(stomp::connection& gone) {
    connections.erase(&gone);
    if (stopping && connections.empty()) io.stop();
  }

  // Runs work on the gateway's thread and returns what it returned.
  template<typename Work>
  decltype(auto) on_thread(Work work) {
    const std::lock_guard lock{stop_mutex};
    if (!thread.joinable()) throw closed{"use a stomp gateway"};
    std::packaged_task<std::invoke_result_t<Work>()> task{std::move(work)};
    auto result = task.get_future();
    asio::post(io, [&task] { task(); });
    return result.get();
  }

  void stop() noexcept {
    const std::lock_guard lock{stop_mutex};
    if (!thread.joinable()) return;
    asio::post(io, [this] {
      error_code ignored;
      stopping = true;
      acceptor.close(ignored);
      pause.cancel();
      const auto all = connections;
      for (const auto& [key, each] : all)
        each->shut_down("this gateway is shutting down");
      if (connections.empty()) io.stop();
      pause.expires_after(options.linger + std::chrono::milliseconds{100});
      pause.async_wait([this](const error_code& cancelled) {
        if (!cancelled) io.stop();
      });
    });
    thread.join();
    outside.close();
    const auto all = std::exchange(connections, {});
    for (const auto& [key, each] : all)
      each->drop();
  }

  const stomp_gateway_options options;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> busy{io.get_executor()};
  stomp::native_side outside;
  stomp::router router;
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::uint16_t port = 0;
  bool accepting = false;
  bool accept_failing = false;
  bool stopping = false;
  std::unordered_map<stomp::connection*, std::shared_ptr<stomp::connection>> connections;
  std::size_t admitted = 0;  // of connections; the others are being told that they are refused
  std::mutex stop_mutex;
  std::thread thread;
};

stomp_gateway::stomp_gateway(context& owner, const stomp_gateway_options& options)
    : state_{new state{owner, options}} {}

stomp_gateway::~stomp_gateway() = default;

void stomp_gateway::start() {
  state_->on_thread([&own = *state_.get()] {
    if (!std::exchange(own.accepting, true)) own.accept();
  });
}

void stomp_gateway::stop() noexcept {
  if (state_.is_here()) {
    state_->stop();
  }
}

const std::string& stomp_gateway::host() const noexcept { return state_.get()->options.host; }
std::uint16_t stomp_gateway::port() const noexcept { return state_.get()->port; }

endpoint stomp_gateway::link::bind(const endpoint& where) { return to_->bind(where); }
void stomp_gateway::link::connect(const endpoint& where) { to_->connect(where); }
monitor stomp_gateway::link::watch() { return to_->watch(); }
void stomp_gateway::link::on_connection(std::function<void(const connection_event&)> told) {
  to_->on_connection(std::move(told));
}

stomp_gateway::link stomp_gateway::topics_in() {
  return link{state_->on_thread([&]() -> auto& { return state_->outside.topics_in(); })};
}
stomp_gateway::link stomp_gateway::topics_out() {
  return link{state_->on_thread([&]() -> auto& { return state_->outside.topics_out(); })};
}
stomp_gateway::link stomp_gateway::queue_in(std::string_view name) {
  return link{
      state_->on_thread([&]() -> auto& { return state_->outside.queue_in(std::string{name}); })};
}
stomp_gateway::link stomp_gateway::queue_out(std::string_view name) {
  return link{
      state_->on_thread([&]() -> auto& { return state_->outside.queue_out(std::string{name}); })};
}
stomp_gateway::link stomp_gateway::service(std::string_view name) {
  return link{
      state_->on_thread([&]() -> auto& { return state_->outside.service(std::string{name}); })};
}

stomp_gateway_statistics stomp_gateway::statistics() const noexcept {
  const stomp::counters& now = state_.get()->router.count();
  stomp_gateway_statistics seen;
  seen.connections = now.connections.get();
  seen.connections_total = now.connections_total.get();
  seen.refused = now.refused.get();
  seen.subscriptions = now.subscriptions.get();
  seen.sends = now.sends.get();
  seen.deliveries = now.deliveries.get();
  seen.native_in = now.native_in.get();
  seen.native_out = now.native_out.get();
  seen.calls = now.calls.get();
  seen.calls_failed = now.calls_failed.get();
  seen.waits = now.waits.get();
  seen.errors = now.errors.get();
  seen.dead = now.dead.get();
  seen.dropped_slow = now.dropped_slow.get();
  seen.dropped_topics = now.dropped_topics.get();
  seen.dropped_rejected = now.dropped_rejected.get();
  seen.dropped_replies = now.dropped_replies.get();
  return seen;
}

}  // namespace parley
