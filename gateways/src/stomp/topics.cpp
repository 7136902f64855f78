// SPDX-License-Identifier: MPL-2.0
#include "stomp/topics.hpp"

#include <optional>

namespace parley::stomp {
namespace {

// The words of a dotted name, one after the other; an empty name is one empty word.
class words {
 public:
  explicit words(std::string_view text) noexcept : rest_{text} {}

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] std::string_view word() const noexcept { return rest_.substr(0, rest_.find('.')); }
  void advance() noexcept {
    const std::size_t dot = rest_.find('.');
    done_ = dot == std::string_view::npos;
    if (!done_) rest_.remove_prefix(dot + 1);
  }

 private:
  std::string_view rest_;
  bool done_ = false;
};

}  // namespace

// As file globs are matched: only the last `#` ever needs another try, so the time is bounded by
// the product of both numbers of words, which destination_limits keeps small.
bool topic_matches(std::string_view pattern, std::string_view topic) noexcept {
  words wanted{pattern};
  words given{topic};
  std::optional<words> behind_hash;
  words retry{topic};
  while (!given.done()) {
    if (!wanted.done() && wanted.word() == "#") {
      wanted.advance();
      behind_hash = wanted;
      retry = given;
    } else if (!wanted.done() && (wanted.word() == "*" || wanted.word() == given.word())) {
      wanted.advance();
      given.advance();
    } else if (behind_hash) {
      retry.advance();
      given = retry;
      wanted = *behind_hash;
    } else {
      return false;
    }
  }
  while (!wanted.done() && wanted.word() == "#")
    wanted.advance();
  return wanted.done();
}

std::string_view topic_prefix(std::string_view pattern) noexcept {
  std::size_t begin = 0;
  while (begin <= pattern.size()) {
    const std::size_t dot = pattern.find('.', begin);
    const std::string_view word = pattern.substr(begin, dot - begin);
    if (word == "*") return pattern.substr(0, begin);
    // `a.#` is also `a`, so the dot is not part of what all begin with.
    if (word == "#") return pattern.substr(0, begin == 0 ? 0 : begin - 1);
    if (dot == std::string_view::npos) break;
    begin = dot + 1;
  }
  return pattern;
}

}  // namespace parley::stomp
