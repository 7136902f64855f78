// SPDX-License-Identifier: MPL-2.0
//
// Which messages of which publishers came by, for those who must not pass one on twice.
//
// The messages of a publisher on one topic come in order, so the last number says it all; those of
// another topic may be older, out of a memory. Topics are known up to a number and so many bytes:
// one more forgets those that were silent longest. No I/O, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace parley::detail {

class origins {
 public:
  // More than a publisher has topics: publisher_options::topics.
  static constexpr std::size_t most = 262'144;
  // Of their names, and what each takes besides. As many topics of 100 octets fit.
  static constexpr std::size_t most_bytes = std::size_t{72} << 20;

  // False: that one, or one after it, was here before.
  [[nodiscard]] bool is_new(std::uint64_t publisher, std::string_view topic, std::uint64_t sequence,
                            bool is_urgent) {
    auto at = known_.find(place{publisher, topic});
    if (at == known_.end()) {
      bytes_ += cost(topic);
      while (known_.size() >= most || (bytes_ > most_bytes && !known_.empty())) {
        forget_oldest();
      }
      at = known_.try_emplace(key{publisher, std::string{topic}}).first;
      at->second.age = by_age_.insert(by_age_.end(), &at->first);
    } else {
      by_age_.splice(by_age_.end(), by_age_, at->second.age);
    }
    std::uint64_t& last = at->second.last[is_urgent ? 1 : 0];
    if (sequence <= last) {
      return false;
    }
    last = sequence;
    return true;
  }

 private:
  struct place {
    std::uint64_t publisher;
    std::string_view topic;
    friend bool operator==(const place&, const place&) = default;
  };
  struct key {
    std::uint64_t publisher;
    std::string topic;
    operator place() const noexcept { return {publisher, topic}; }
  };
  struct hash {
    using is_transparent = void;
    std::size_t operator()(const place& of) const noexcept {
      return std::hash<std::string_view>{}(of.topic) ^ static_cast<std::size_t>(of.publisher);
    }
  };
  struct equal {
    using is_transparent = void;
    bool operator()(const place& left, const place& right) const noexcept { return left == right; }
  };
  struct origin {
    std::array<std::uint64_t, 2> last{};  // usual, urgent
    std::list<const key*>::iterator age;
  };

  // Of a topic: its name, and the nodes, with what the allocator adds.
  [[nodiscard]] static std::size_t cost(std::string_view topic) noexcept {
    constexpr std::size_t besides = sizeof(key) + sizeof(origin) + 10 * sizeof(void*);
    return topic.size() + besides;
  }
  void forget_oldest() {
    const auto oldest = known_.find(*by_age_.front());
    bytes_ -= cost(oldest->first.topic);
    known_.erase(oldest);
    by_age_.pop_front();
  }

  std::unordered_map<key, origin, hash, equal> known_;
  std::list<const key*> by_age_;
  std::size_t bytes_ = 0;
};

}  // namespace parley::detail
