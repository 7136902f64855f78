// SPDX-License-Identifier: MPL-2.0
//
// A subscriber's books about one publisher, by prefix.
//
// The publisher books a message under the longest prefix that it serves when the message is
// published, and tells in the row from where on it serves a prefix, and from where on not any more.
// So who goes along the row finds the same book. No I/O, one thread.
#pragma once

#include <parley/feed_ledger.hpp>
#include <parley/prefix_table.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace parley::detail {

class feed_books {
 public:
  struct book {
    std::uint64_t received = 0;
    loss_counts lost;
  };
  using books = std::map<std::string, book, std::less<>>;

  feed_books() = default;
  feed_books(const feed_books&) = delete;
  feed_books& operator=(const feed_books&) = delete;

  // From here on.
  void serve_none();
  void serve(std::string_view prefix);
  void serve_no_more(std::string_view prefix);
  void serve_as(const feed_books& other);

  // Where a message is booked; null: nothing that is served matches it. Valid until its prefix is
  // forgotten.
  [[nodiscard]] book* under(std::string_view topic) noexcept {
    // Messages of one prefix mostly come together.
    return last_.begins(topic) ? last_.of : look_up(topic);
  }
  // Where what was lost of a prefix is booked.
  [[nodiscard]] book& of(std::string_view prefix);
  [[nodiscard]] const books& all() const noexcept { return books_; }
  void forget(std::string_view prefix);

 private:
  struct place {
    std::string_view prefix;
    book* of = nullptr;  // null: it begins nothing

    [[nodiscard]] bool begins(std::string_view topic) const noexcept {
      return of != nullptr && topic.size() >= prefix.size() &&
             std::memcmp(topic.data(), prefix.data(), prefix.size()) == 0;
    }
  };

  [[nodiscard]] book* look_up(std::string_view topic) noexcept;

  books books_;
  prefix_table<books::iterator> served_;
  place last_;  // looked up, if no longer prefix begins with it
};

}  // namespace parley::detail
