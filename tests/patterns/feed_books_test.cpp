// SPDX-License-Identifier: MPL-2.0
#include "feed_books.hpp"

#include <string>

#include "support/catch.hpp"

using parley::detail::feed_books;

namespace {

// The prefix under which a message is booked; "-": none.
std::string under(feed_books& books, std::string_view topic) {
  feed_books::book* const found = books.under(topic);
  for (const auto& [prefix, book] : books.all()) {
    if (&book == found) {
      return prefix;
    }
  }
  CHECK(found == nullptr);
  return "-";
}

// Enough that they are not compared one after the other.
void serve_many(feed_books& books) {
  for (int number = 0; number < 100; ++number) {
    books.serve("many." + std::to_string(number));
  }
}

}  // namespace

TEST_CASE("a message is booked under the longest prefix that is served") {
  for (const bool are_many : {false, true}) {
    feed_books books;
    if (are_many) {
      serve_many(books);
    }
    CHECK(under(books, "abc") == "-");
    books.serve("ab");
    CHECK(under(books, "abc") == "ab");
    CHECK(under(books, "a") == "-");
    books.serve("abcd");
    books.serve("");
    for (int time = 0; time < 2; ++time) {
      CHECK(under(books, "abc") == "ab");
      CHECK(under(books, "abcde") == "abcd");
      CHECK(under(books, "b") == "");
    }
    books.serve_no_more("ab");
    CHECK(under(books, "abc") == "");
    books.serve_none();
    CHECK(under(books, "abc") == "-");
  }
}

TEST_CASE("of many prefixes too each message finds its own, in whatever order they come") {
  feed_books books;
  serve_many(books);
  for (int round = 0; round < 2; ++round) {
    for (int number = 0; number < 100; ++number) {
      const std::string prefix = "many." + std::to_string(number);
      CHECK(under(books, prefix) == prefix);
      CHECK(under(books, prefix + ".x") == prefix);
    }
  }
}

TEST_CASE("books of prefixes that are served no more are kept until they are forgotten") {
  feed_books books;
  books.serve("a");
  books.under("a")->received = 3;
  books.serve_no_more("a");
  CHECK(books.all().at("a").received == 3);
  books.of("a").lost.add(parley::loss_reason::away, 2);
  CHECK(books.all().at("a").lost.total() == 2);
  books.serve("a");
  CHECK(books.under("a")->received == 3);
  books.forget("a");
  CHECK(books.all().empty());
  CHECK(books.under("a") == nullptr);
}
