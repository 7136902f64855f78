// SPDX-License-Identifier: MPL-2.0
//
// What the router calls native, on Parley's own patterns.
//
// All members belong to the gateway's thread, but for the threads that wait for native messages,
// which hand them over in batches. A pattern object exists once somebody asked for its link.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/pipeline.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "stomp/handover.hpp"
#include "stomp/router.hpp"

namespace parley::stomp {

// One pattern object's socket; may be bound, connected and watched from any thread.
class native_link {
 public:
  virtual ~native_link() = default;
  virtual endpoint bind(const endpoint& where) = 0;
  virtual void connect(const endpoint& where) = 0;
  virtual monitor watch() = 0;
  virtual void on_connection(std::function<void(const connection_event&)> told) = 0;
};

class native_side final : public native {
 public:
  using error_handler = std::function<void(std::string_view)>;

  native_side(context& owner, boost::asio::io_context& io, const curve_security& curve_out,
              const curve_security& curve_in, error_handler on_error);
  ~native_side();

  // Requires: before anything else.
  void serve(router& by) { router_ = &by; }

  native_link& topics_in();
  native_link& topics_out();
  native_link& queue_in(const std::string& name);
  native_link& queue_out(const std::string& name);
  native_link& service(const std::string& name);

  // Ends all waits and threads; the links are dead from then on.
  void close() noexcept;

  void publish(std::string_view topic, std::string_view body) override;
  void want(std::string_view prefix) override;
  void unwant(std::string_view prefix) override;
  bool call(std::uint64_t number, std::string_view service, std::string_view method,
            const std::string& parameters, clock::time_point deadline) override;
  void report(std::string_view what) override { on_error_(what); }

 private:
  class topic_source;
  class topic_sink;
  class task_feeder;
  class task_sink;
  class caller;
  struct answered {
    std::uint64_t number;
    service_reply reply;
  };

  // Runs work; what it throws goes to the error handler, but for the end of all things.
  template<typename Work>
  void guard(Work&& work) noexcept;
  void deliver_replies();
  void answer(std::uint64_t number, service_reply reply);
  void poll_sinks();
  void retry_soon();

  context context_;
  boost::asio::io_context& io_;
  const curve_security curve_out_;
  const curve_security curve_in_;
  error_handler on_error_;
  router* router_ = nullptr;
  std::set<std::string, std::less<>> wanted_;  // prefixes
  std::unique_ptr<topic_source> topics_in_;
  std::unique_ptr<topic_sink> topics_out_;
  std::map<std::string, std::unique_ptr<task_feeder>, std::less<>> feeders_;
  std::map<std::string, std::unique_ptr<task_sink>, std::less<>> sinks_;
  std::map<std::string, std::unique_ptr<caller>, std::less<>> services_;
  handover<answered> replies_;
  boost::asio::steady_timer retry_;
  bool retrying_ = false;
  std::chrono::milliseconds retry_after_;
  bool closed_ = false;
};

}  // namespace parley::stomp
