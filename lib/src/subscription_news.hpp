// SPDX-License-Identifier: MPL-2.0
//
// Subscriptions and cancellations on their way to somebody who may be slow to take them: an xpub's
// program, or a publisher whose pipe is full. Also what an xsub sends besides.
//
// Bounded: what comes to nothing before it was taken is forgotten, so there is at most one entry
// for each prefix that somebody has or that was told of, however often it changes; of other
// messages there are limit at most. Among them, where all is told, are the private topics (see
// socket_options) that come to nothing: they are told first. In the order in which the entries
// began. No I/O, one thread.
#pragma once

#include <parley/message.hpp>

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace parley::detail {

class subscription_news {
 public:
  // keeps_all: each subscription is news, also where it takes back a cancellation.
  explicit subscription_news(std::size_t limit, bool keeps_all = false)
      : limit_{limit}, keeps_all_{keeps_all} {}
  subscription_news(const subscription_news&) = delete;
  subscription_news& operator=(const subscription_news&) = delete;

  // First: nobody had it before. Last: nobody has it any more. With these only, it is told what
  // changed since; others are counted.
  void subscribed(std::string_view prefix, bool is_first);
  void cancelled(std::string_view prefix, bool is_last);
  // Something else than a subscription. False: there are limit already, and it is unchanged.
  [[nodiscard]] bool add(message&& other);

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  // The oldest. Requires of both: !empty().
  [[nodiscard]] message front() const;
  void pop();

  void clear() noexcept;

 private:
  struct entry {
    std::string prefix;
    bool was_live;  // as far as who takes the news knows
    std::size_t cancellations = 0;
    std::size_t subscriptions = 0;  // after these
    message other{};                // not empty: this instead of all above
  };

  entry& of(std::string_view prefix, bool was_live);
  void drop_if_void(const entry& which);

  const std::size_t limit_;
  const bool keeps_all_;
  std::list<entry> entries_;
  // The keys are the entries' own.
  std::unordered_map<std::string_view, std::list<entry>::iterator> prefixes_;
  std::size_t others_ = 0;
};

}  // namespace parley::detail
