// SPDX-License-Identifier: MPL-2.0
#include "stomp/native_side.hpp"

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include <boost/asio/post.hpp>

#include <deque>
#include <exception>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace parley::stomp {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t batch = 512;          // native messages handed over at a time
constexpr std::size_t handed_over = 8'192;  // waiting for the gateway's thread, of one source
constexpr std::size_t at_native = 1'000;    // tasks that native workers have not done
constexpr milliseconds first_retry{1};      // of a native source that had no room
constexpr milliseconds last_retry{32};

// Any result, as it was packed.
struct packed_value {
  std::string bytes;
  void msgpack_unpack(const msgpack::object& value) {
    msgpack::sbuffer buffer;
    msgpack::pack(buffer, value);
    bytes.assign(buffer.data(), buffer.size());
  }
};

service_reply to_reply(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const remote_error& problem) {
    return {false, {}, problem.type(), problem.text()};
  } catch (const timed_out&) {
    return {false, {}, "timed_out", "the service did not answer in time"};
  } catch (const no_server&) {
    return {false, {}, "no_server", "no server of the service was there in time"};
  } catch (const server_lost&) {
    return {false, {}, "server_lost", "the server was lost; it may have done it, or not"};
  } catch (const overloaded&) {
    return {false, {}, "overloaded", "the service is overloaded"};
  } catch (const closed&) {
    return {false, {}, "closed", "the gateway is shutting down"};
  } catch (const protocol_error& problem) {
    return {false, {}, "protocol", problem.what()};
  } catch (const std::exception& problem) {
    return {false, {}, "error", problem.what()};
  }
}

// Whose sockets come and go: it tells of connections itself.
template<typename Pattern>
concept tells_of_connections = requires(Pattern& it) {
  it.on_connection(nullptr);
};

template<typename Pattern>
class link_of : public native_link {
 public:
  endpoint bind(const endpoint& where) override { return pattern_.bind(where); }
  void connect(const endpoint& where) override { pattern_.connect(where); }
  monitor watch() override {
    if constexpr (tells_of_connections<Pattern>) {
      throw error{errc::unsupported, "watch what has on_connection"};
    } else {
      return pattern_.watch();
    }
  }
  void on_connection(std::function<void(const connection_event&)> told) override {
    if constexpr (tells_of_connections<Pattern>) {
      pattern_.on_connection(std::move(told));
    } else {
      throw error{errc::unsupported, "on_connection of what is to be watched"};
    }
  }

 protected:
  explicit link_of(Pattern pattern) : pattern_{std::move(pattern)} {}
  Pattern pattern_;
};

}  // namespace

template<typename Work>
void native_side::guard(Work&& work) noexcept {
  try {
    work();
  } catch (const closed&) {
    // the context was shut down, or the gateway stops
  } catch (const std::exception& problem) {
    on_error_(problem.what());
  }
}

// ---- /topic ----

class native_side::topic_source final : public link_of<subscriber> {
 public:
  explicit topic_source(native_side& owner)
      : link_of{subscriber{owner.context_, {.curve = owner.curve_in_}}},
        owner_{owner},
        thread_{[this] { owner_.guard([this] { run(); }); }} {}

  void want(std::string_view prefix) { pattern_.subscribe(prefix); }
  void unwant(std::string_view prefix) { pattern_.unsubscribe(prefix); }

  void stop() noexcept {
    handed_.close();
    pattern_.close();
    thread_.join();
  }

 private:
  void run() {
    std::vector<publication> received;
    for (;;) {
      received.push_back(pattern_.receive());
      while (received.size() < batch) {
        auto more = pattern_.try_receive();
        if (!more) break;
        received.push_back(std::move(*more));
      }
      const auto came = handed_.put(received);
      if (came == handover<publication>::put_result::closed) return;
      if (came == handover<publication>::put_result::taken_and_wake) {
        boost::asio::post(owner_.io_, [this] { deliver(); });
      }
    }
  }

  void deliver() {
    handed_.take(batch_);
    for (const publication& each : batch_) {
      owner_.router_->publish(each.topic.view(), each.body.view());
    }
    batch_.clear();
    owner_.router_->run(clock::now());
  }

  native_side& owner_;
  handover<publication> handed_{handed_over};
  std::vector<publication> batch_;
  std::thread thread_;
};

class native_side::topic_sink final : public link_of<publisher> {
 public:
  explicit topic_sink(native_side& owner)
      : link_of{publisher{owner.context_, {.curve = owner.curve_out_}}} {}
  void publish(std::string_view topic, std::string_view body) {
    pattern_.publish(topic, parley::frame{body});
  }
  void close() noexcept { pattern_.close(); }
};

// ---- /queue ----

// Native tasks on their way into a queue. While it is full nothing is received, so that the native
// sources come to wait too.
class native_side::task_feeder final : public link_of<worker>, private router::waiter {
 public:
  task_feeder(native_side& owner, std::string queue_name)
      : link_of{worker{owner.context_, {.curve = owner.curve_in_}}},
        owner_{owner},
        queue_{std::move(queue_name)},
        thread_{[this] { owner_.guard([this] { run(); }); }} {}

  void stop() noexcept {
    handed_.close();
    pattern_.close();
    thread_.join();
  }

 private:
  void run() {
    std::vector<task> received;
    for (;;) {
      received.push_back(pattern_.receive());
      while (received.size() < batch) {
        auto more = pattern_.try_receive();
        if (!more) break;
        received.push_back(std::move(*more));
      }
      const auto came = handed_.put(received);
      if (came == handover<task>::put_result::closed) return;
      if (came == handover<task>::put_result::taken_and_wake) {
        boost::asio::post(owner_.io_, [this] {
          if (!waits_) pump(false);
          owner_.router_->run(clock::now());
        });
      }
    }
  }

  void pump(bool again) {
    for (;;) {
      if (next_ == batch_.size()) {
        batch_.clear();
        next_ = 0;
        handed_.take(batch_);
        if (batch_.empty()) return;
      }
      if (!owner_.router_->push(queue_, batch_[next_].body.view(), *this, again)) {
        waits_ = true;
        return;
      }
      again = false;
      batch_[next_].done();
      ++next_;
    }
  }

  void on_room() override {
    waits_ = false;
    pump(true);
  }

  native_side& owner_;
  std::string queue_;
  handover<task> handed_{batch};
  std::vector<task> batch_;
  std::size_t next_ = 0;
  bool waits_ = false;
  std::thread thread_;
};

// Takes tasks for native workers. A source cannot say when it has room again, so a refusal is
// tried again soon, for as long as something waits.
class native_side::task_sink final : public link_of<source>, private queue::consumer {
 public:
  task_sink(native_side& owner, std::string queue_name)
      : link_of{source{owner.context_, {.limit = at_native, .curve = owner.curve_out_}}},
        owner_{owner},
        queue_{std::move(queue_name)} {
    owner_.router_->attach(queue_, *this);
  }

  // Whether it is still refusing and wanted.
  bool retry() {
    if (!refused_ || !owner_.router_->has_waiting(queue_)) return refused_ = false;
    refused_ = false;
    owner_.router_->wake(queue_, *this);
    return true;
  }
  void close() noexcept { pattern_.close(); }

 private:
  queue::taken try_take(const queue::entry& next) override {
    bool accepted = false;
    owner_.guard([&] {
      // Without a worker the task would be lost to others who consume from the queue.
      accepted = pattern_.worker_count() > 0 &&
                 pattern_.try_push(parley::frame{next.content->body()}).has_value();
    });
    if (accepted) {
      owner_.router_->count().native_out.add();
      owner_.retry_after_ = first_retry;
      return queue::taken::settled;
    }
    refused_ = true;
    owner_.retry_soon();
    return queue::taken::refused;
  }

  native_side& owner_;
  std::string queue_;
  bool refused_ = false;
};

void native_side::retry_soon() {
  if (std::exchange(retrying_, true)) return;
  retry_.expires_after(retry_after_);
  retry_.async_wait([this](const boost::system::error_code& failure) {
    retrying_ = false;
    if (!failure) poll_sinks();
  });
  retry_after_ = std::min(2 * retry_after_, last_retry);
}

void native_side::poll_sinks() {
  for (const auto& [name, each] : sinks_)
    each->retry();
  router_->run(clock::now());
}

// ---- /service ----

class native_side::caller final : public link_of<client> {
 public:
  explicit caller(native_side& owner)
      : link_of{client{owner.context_, {.curve = owner.curve_in_}}}, owner_{owner} {}

  void start(std::uint64_t number, std::string_view method, const std::string& parameters,
             clock::time_point deadline) {
    const auto done = [&to = owner_, number](call_outcome&& came) {
      service_reply reply;
      try {
        reply.result = client::unpack<packed_value>(came.value()).bytes;
      } catch (...) {
        reply = to_reply(std::current_exception());
      }
      to.answer(number, std::move(reply));
    };
    try {
      pattern_.call_packed({.timeout = deadline - clock::now()}, method, parley::frame{parameters},
                           done);
    } catch (...) {
      owner_.answer(number, to_reply(std::current_exception()));
    }
  }

  void stop() noexcept { pattern_.close(); }

 private:
  native_side& owner_;
};

void native_side::answer(std::uint64_t number, service_reply reply) {
  if (replies_.put_now({number, std::move(reply)}) ==
      handover<answered>::put_result::taken_and_wake) {
    boost::asio::post(io_, [this] { deliver_replies(); });
  }
}

void native_side::deliver_replies() {
  std::vector<answered> came;
  replies_.take(came);
  for (const answered& each : came)
    router_->replied(each.number, each.reply);
  router_->run(clock::now());
}

bool native_side::call(std::uint64_t number, std::string_view service, std::string_view method,
                       const std::string& parameters, clock::time_point deadline) {
  const auto known = services_.find(service);
  if (known == services_.end()) return false;
  known->second->start(number, method, parameters, deadline);
  return true;
}

// ---- all of it ----

native_side::native_side(context& owner, boost::asio::io_context& io,
                         const curve_security& curve_out, const curve_security& curve_in,
                         error_handler on_error)
    : context_{owner},
      io_{io},
      curve_out_{curve_out},
      curve_in_{curve_in},
      on_error_{std::move(on_error)},
      replies_{0},
      retry_{io},
      retry_after_{first_retry} {}

native_side::~native_side() { close(); }

void native_side::close() noexcept {
  if (std::exchange(closed_, true)) return;
  replies_.close();
  if (topics_in_) topics_in_->stop();
  if (topics_out_) topics_out_->close();
  for (const auto& [name, each] : feeders_)
    each->stop();
  for (const auto& [name, each] : sinks_)
    each->close();
  for (const auto& [name, each] : services_)
    each->stop();
}

native_link& native_side::topics_in() {
  if (!topics_in_) {
    topics_in_ = std::make_unique<topic_source>(*this);
    for (const std::string& prefix : wanted_)
      topics_in_->want(prefix);
  }
  return *topics_in_;
}

native_link& native_side::topics_out() {
  if (!topics_out_) topics_out_ = std::make_unique<topic_sink>(*this);
  return *topics_out_;
}

native_link& native_side::queue_in(const std::string& name) {
  if (const auto known = feeders_.find(name); known != feeders_.end()) return *known->second;
  router_->keep(name);
  return *feeders_.emplace(name, std::make_unique<task_feeder>(*this, name)).first->second;
}

native_link& native_side::queue_out(const std::string& name) {
  if (const auto known = sinks_.find(name); known != sinks_.end()) return *known->second;
  router_->keep(name);
  return *sinks_.emplace(name, std::make_unique<task_sink>(*this, name)).first->second;
}

native_link& native_side::service(const std::string& name) {
  if (const auto known = services_.find(name); known != services_.end()) return *known->second;
  return *services_.emplace(name, std::make_unique<caller>(*this)).first->second;
}

void native_side::publish(std::string_view topic, std::string_view body) {
  if (!topics_out_) return;
  guard([&] {
    topics_out_->publish(topic, body);
    router_->count().native_out.add();
  });
}

void native_side::want(std::string_view prefix) {
  wanted_.emplace(prefix);
  if (topics_in_) guard([&] { topics_in_->want(prefix); });
}

void native_side::unwant(std::string_view prefix) {
  wanted_.erase(wanted_.find(prefix));
  if (topics_in_) guard([&] { topics_in_->unwant(prefix); });
}

}  // namespace parley::stomp
