// SPDX-License-Identifier: MPL-2.0
//
// Who wants which topic. A topic is words joined by dots; in a pattern `*` stands for exactly one
// word and `#` for any number of words, also none.
//
// Matching a topic seen before is one hash look-up: what was found is kept until somebody
// subscribes or leaves, for a bounded number of topics.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley::stomp {

[[nodiscard]] bool topic_matches(std::string_view pattern, std::string_view topic) noexcept;

// The bytes that every topic matched by the pattern begins with: what to ask native publishers for.
[[nodiscard]] std::string_view topic_prefix(std::string_view pattern) noexcept;

// Subscriber is a cheap handle, such as a pointer.
template<typename Subscriber>
class topics {
 public:
  void add(std::string_view pattern, Subscriber who) {
    if (pattern.find_first_of("*#") == std::string_view::npos) {
      exact_[std::string{pattern}].push_back(who);
    } else {
      patterns_.push_back({std::string{pattern}, who});
    }
    found_.clear();
  }

  // Requires: was added with the same pattern.
  void remove(std::string_view pattern, Subscriber who) {
    if (const auto exact = exact_.find(pattern); exact != exact_.end()) {
      std::erase(exact->second, who);
      if (exact->second.empty()) exact_.erase(exact);
    }
    std::erase_if(patterns_,
                  [&](const entry& each) { return each.who == who && each.pattern == pattern; });
    found_.clear();
  }

  // Each subscriber as often as it subscribed. Valid until the next call of anything here.
  [[nodiscard]] const std::vector<Subscriber>& match(std::string_view topic) {
    if (const auto known = found_.find(topic); known != found_.end()) return known->second;
    if (found_.size() == most_remembered) found_.clear();
    std::vector<Subscriber>& result = found_[std::string{topic}];
    if (const auto exact = exact_.find(topic); exact != exact_.end()) result = exact->second;
    for (const entry& each : patterns_) {
      if (topic_matches(each.pattern, topic)) result.push_back(each.who);
    }
    return result;
  }

 private:
  static constexpr std::size_t most_remembered = 4096;

  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct entry {
    std::string pattern;
    Subscriber who;
  };
  using table = std::unordered_map<std::string, std::vector<Subscriber>, hash, std::equal_to<>>;

  table exact_;
  std::vector<entry> patterns_;
  table found_;
};

}  // namespace parley::stomp
