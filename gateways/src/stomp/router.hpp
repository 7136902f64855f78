// SPDX-License-Identifier: MPL-2.0
//
// All clients of a gateway and what they exchange: topics, queues, services and replies.
//
// Still no I/O and one thread: the rim reports bytes, time and what native peers send; the router
// leaves bytes in each client's session and calls client::attend() for those that changed. It asks
// the native side through the interface `native`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stomp/counters.hpp"
#include "stomp/destination.hpp"
#include "stomp/frame_reader.hpp"
#include "stomp/native.hpp"
#include "stomp/queue.hpp"
#include "stomp/service_body.hpp"
#include "stomp/session.hpp"
#include "stomp/topics.hpp"

namespace parley::stomp {

class router {
 public:
  class client;
  class feed;

  // Who waits for room in a queue; asked again in the order of asking.
  class waiter {
   public:
    virtual void on_room() = 0;

   protected:
    ~waiter() = default;
  };

  router(const limits& allowed, native& outside) : limits_{allowed}, outside_{outside} {}

  // ---- the rim of a client ----

  // New bytes are in its reader.
  void received(client& from, clock::time_point now);
  // All it took from its session was sent.
  void sent(client& to, clock::time_point now);
  // False: drop it.
  [[nodiscard]] bool tick(client& of, clock::time_point now);
  // Ends it with an ERROR.
  void close(client& of, std::string_view sentence);
  // Takes back what it held. Must be called before a client ends.
  void disconnect(client& gone);

  // ---- the native side ----

  // After some of these, run() carries out what they lead to.
  void publish(std::string_view topic, std::string_view body);
  // The queue exists from now on, whoever comes and goes; also beyond queue_count, which is for
  // those that clients make.
  void keep(std::string_view queue_name);
  // False: the queue is full, and on_room follows, where `again` is true for the first push.
  // Requires: keep().
  [[nodiscard]] bool push(std::string_view queue_name, std::string_view body, waiter& by,
                          bool again);
  void replied(std::uint64_t number, const service_reply& reply);
  // A consumer of a queue that is no STOMP client, and settles at once what it takes.
  // Requires: keep().
  void attach(std::string_view queue_name, queue::consumer& who);
  void wake(std::string_view queue_name, queue::consumer& who);
  // Whether a message waits in that queue.
  [[nodiscard]] bool has_waiting(std::string_view queue_name) const;
  void run(clock::time_point now);

  [[nodiscard]] const counters& count() const noexcept { return counters_; }
  [[nodiscard]] counters& count() noexcept { return counters_; }

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  template<typename Value>
  using by_name = std::unordered_map<std::string, Value, hash, std::equal_to<>>;

  struct place_in_line {
    waiter* who;
    std::size_t messages, bytes;
  };
  struct named_queue : queue {
    named_queue(const queue_limits& limits, std::string_view called)
        : queue{limits}, name{called} {}
    std::string name;
    std::deque<place_in_line> producers;
    bool touched = false;
    bool kept = false;  // a native peer, a session or a subscription refers to it
  };
  struct temp_queue {
    std::unique_ptr<named_queue> messages;
    bool subscribed = false;  // by a SUBSCRIBE of the client's own, now or before
  };
  struct call {
    client* by;
    std::string reply_to;  // the client's name for it
    std::string correlation;
    bool wants_msgpack;
  };
  enum class progress : std::uint8_t { done, failed, waits };

  template<typename Work>
  void guard(client& of, Work&& work);
  void advance(client& of, clock::time_point now);
  void perform(client& of, clock::time_point now);
  progress try_publish(client& by, bool again, clock::time_point now);
  progress check(client& by, bool again);
  void route(client& by, const message_ptr& content, clock::time_point now);
  void route_topic(std::string_view name, const message_ptr& content);
  void route_call(client& by, const destination& to, const message& content, clock::time_point now);
  void answer(client& to, const std::string& reply_to, const std::string& correlation,
              const service_reply& reply, bool wants_msgpack);
  void expect_replies(client& by, const message& content);

  void subscribe(client& by, subscription& wanted);
  void unsubscribe(client& by, subscription& ended);
  void settle(client& by);
  void release(client& closing);
  void give_back(queue& to, queue::entry&& entry, bool rejected, const queue::consumer* by);
  feed& add_feed(client& to, subscription& of);

  named_queue* find_queue(std::string_view name);
  named_queue* find_or_make_queue(std::string_view name);  // null: there are too many
  named_queue& make_queue(std::string_view name);
  temp_queue* find_or_make_temp(client& of, std::string_view name);
  named_queue* find_reply_queue(std::string_view name, client** owner);
  void touch(queue& changed);
  void attend(client& changed);

  limits limits_;
  native& outside_;
  counters counters_;
  std::uint64_t next_session_ = 1;
  by_name<client*> by_token_;
  by_name<std::unique_ptr<named_queue>> queues_;
  topics<feed*> topics_;
  by_name<std::size_t> wanted_;  // prefixes, with how many subscriptions want them
  std::unordered_map<std::uint64_t, call> calls_;
  std::uint64_t next_call_ = 1;
  std::vector<named_queue*> touched_;
  std::deque<client*> resumable_;
  std::vector<client*> changed_;
  std::vector<delivery> done_;
};

// One connection, as the router sees it. The rim derives from it.
class router::client : private router::waiter {
 public:
  client(router& owner, clock::time_point now);
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // The session has output, or closes, or reading() changed.
  virtual void attend() = 0;

  [[nodiscard]] frame_reader& reader() noexcept { return reader_; }
  [[nodiscard]] session& protocol() noexcept { return session_; }
  // Otherwise leave bytes where they are: it waits for room, or has too much unread itself.
  [[nodiscard]] bool reading() const noexcept {
    return !blocked() && !stalled_ && !session_.closing();
  }
  [[nodiscard]] clock::time_point due() const noexcept;

 protected:
  ~client();  // after router::disconnect

 private:
  friend class router;
  friend class router::feed;

  void on_room() override;
  [[nodiscard]] bool blocked() const noexcept { return blocked_on_ != nullptr || waits_for_calls_; }

  router& owner_;
  std::string token_;
  frame_reader reader_;
  session session_;
  std::vector<std::unique_ptr<feed>> feeds_;
  by_name<temp_queue> temp_queues_;
  std::size_t calls_in_flight_ = 0;
  // Why its last frame must wait.
  named_queue* blocked_on_ = nullptr;
  bool waits_for_calls_ = false;
  clock::time_point blocked_until_{};
  bool stalled_ = false;  // too much output
  bool changed_ = false;  // attend() is due
  bool released_ = false;
};

}  // namespace parley::stomp
