// SPDX-License-Identifier: MPL-2.0
#include "feed_books.hpp"

#include <iterator>

namespace parley::detail {
void feed_books::serve_none() {
  served_ = {};
  last_ = {};
}

void feed_books::serve(std::string_view prefix) {
  served_.at(prefix) = books_.try_emplace(std::string{prefix}).first;
  last_ = {};
}

void feed_books::serve_no_more(std::string_view prefix) {
  served_.erase(prefix);
  last_ = {};
}

void feed_books::serve_as(const feed_books& other) {
  serve_none();
  for (const auto& [prefix, its_book] : other.served_) {
    served_.at(prefix) = books_.try_emplace(prefix).first;
  }
  last_ = {};
}

feed_books::book* feed_books::look_up(std::string_view topic) noexcept {
  auto found = books_.end();
  served_.match(topic, [&](books::iterator longest) { found = longest; });
  if (found == books_.end()) {
    return nullptr;
  }
  const auto next = std::next(found);
  if (next == books_.end() || !next->first.starts_with(found->first)) {
    last_ = {found->first, &found->second};
  }
  return &found->second;
}

feed_books::book& feed_books::of(std::string_view prefix) {
  const auto found = books_.find(prefix);
  return found != books_.end() ? found->second
                               : books_.try_emplace(std::string{prefix}).first->second;
}

void feed_books::forget(std::string_view prefix) {
  serve_no_more(prefix);
  if (const auto found = books_.find(prefix); found != books_.end()) {
    books_.erase(found);
  }
}

}  // namespace parley::detail
