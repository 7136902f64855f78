// SPDX-License-Identifier: MPL-2.0
//
// Lets STOMP clients (1.0, 1.1, 1.2, over TCP) and native peers talk to each other:
// /topic/... is publish-subscribe, /queue/... a pipeline, /service/... request-reply.
//
// Threads: any thread may call anything here. One thread of its own serves all clients, one more
// each source of native messages and each service.
// Full: queues are bounded, and a SEND to a full one waits; who reads too slowly misses topic
// messages, and is told how many. See stomp_limits.hpp and docs/stomp.md.
// Fork: it stays with the process that made it; a child of that gets an error (forked).
// Errors: what one client does wrong ends in an ERROR for that client alone.
#pragma once

#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/stomp_limits.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace parley {

class monitor;
struct connection_event;

namespace stomp {
class native_link;
}

struct stomp_gateway_options {
  std::string host = "127.0.0.1";  // a name or an address; no effect after construction
  std::uint16_t port = 61613;      // 0 picks a free one
  stomp::limits limits;
  std::chrono::milliseconds linger{1'000};  // for the last bytes of a connection that closes
  // CURVE towards native peers over tcp and ipc: what usually binds (topics_out, queue_out) and
  // what usually connects (topics_in, queue_in, service).
  curve_security curve_out{};
  curve_security curve_in{};
  // What went wrong in the background. Default: one line on stderr. The gateway's own thread calls
  // it and those that wait for native messages, possibly at once; it must neither throw nor call
  // the gateway.
  std::function<void(std::string_view what)> on_error;
};

struct stomp_gateway_statistics {
  std::uint64_t connections = 0;  // open now
  std::uint64_t connections_total = 0;
  std::uint64_t refused = 0;           // connections beyond the limit
  std::uint64_t subscriptions = 0;     // open now
  std::uint64_t sends = 0;             // SEND frames accepted
  std::uint64_t deliveries = 0;        // MESSAGE frames written
  std::uint64_t native_in = 0;         // messages and tasks from native peers
  std::uint64_t native_out = 0;        // messages and tasks to native peers
  std::uint64_t calls = 0;             // to services
  std::uint64_t calls_failed = 0;      // answered with an error
  std::uint64_t waits = 0;             // SEND or COMMIT that had to wait for room
  std::uint64_t errors = 0;            // connections closed with an ERROR
  std::uint64_t dead = 0;              // connections dropped for their silence
  std::uint64_t dropped_slow = 0;      // topic messages that a subscriber was too slow for
  std::uint64_t dropped_topics = 0;    // native messages whose topic was too long
  std::uint64_t dropped_rejected = 0;  // queue messages that were rejected too often
  std::uint64_t dropped_replies = 0;   // replies whose asker had gone, or was full
};

class stomp_gateway {
 public:
  // Binds, so that port() is known; clients are served from start() on. Throws error.
  explicit stomp_gateway(context& owner, const stomp_gateway_options& options = {});
  // As stop().
  ~stomp_gateway();
  stomp_gateway(const stomp_gateway&) = delete;
  stomp_gateway& operator=(const stomp_gateway&) = delete;

  void start();
  // Closes all connections, each with an ERROR that says why, within the linger time. There is no
  // way back.
  void stop() noexcept;

  [[nodiscard]] const std::string& host() const noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept;

  // One socket towards native peers; bind and connect it as often as needed, at any time before
  // stop(). Belongs to the gateway, and must not be used after it.
  class link {
   public:
    endpoint bind(const endpoint& where);  // returns what was really bound
    void connect(const endpoint& where);
    // Its connections; one monitor a socket. Requires: the monitor goes before the gateway does.
    // Not of a service. Throws error (unsupported).
    [[nodiscard]] monitor watch();
    // The connections of a service, as client::on_connection has it; of no other link.
    void on_connection(std::function<void(const connection_event&)> told);

   private:
    friend class stomp_gateway;
    explicit link(stomp::native_link& to) : to_{&to} {}
    stomp::native_link* to_;
  };

  [[nodiscard]] link topics_in();   // subscribes: native publishers feed /topic
  [[nodiscard]] link topics_out();  // publishes what STOMP clients SEND to /topic
  [[nodiscard]] link queue_in(std::string_view name);   // a worker: its tasks go to /queue/NAME
  [[nodiscard]] link queue_out(std::string_view name);  // a source: takes its share of /queue/NAME
  [[nodiscard]] link service(std::string_view name);    // a client that /service/NAME calls with

  [[nodiscard]] stomp_gateway_statistics statistics() const noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
