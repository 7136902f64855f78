// SPDX-License-Identifier: MPL-2.0
#include "subscription_news.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using parley::message;
using parley::detail::subscription_news;

namespace {

using texts = std::vector<std::string>;

// "+a" for a subscription, "-a" for its end.
texts taken(subscription_news& from) {
  texts all;
  for (; !from.empty(); from.pop()) {
    std::string text = from.front().front().str();
    text.front() = text.front() == '\1' ? '+' : text.front() == '\0' ? '-' : text.front();
    all.push_back(std::move(text));
  }
  return all;
}

}  // namespace

TEST_CASE("news of subscriptions comes in order, each once") {
  subscription_news news{10};
  news.subscribed("b", true);
  news.subscribed("a", true);
  CHECK(news.add(message{"text"}));
  news.subscribed("", true);
  CHECK(taken(news) == texts{"+b", "+a", "text", "+"});
  CHECK(news.empty());
  news.cancelled("a", true);
  CHECK(taken(news) == texts{"-a"});
}

TEST_CASE("a subscription and its end come to nothing when nobody took the first") {
  subscription_news news{10};
  for (int round = 0; round < 3; ++round) {
    news.subscribed("a", true);
    news.subscribed("b" + std::to_string(round), true);
    news.cancelled("a", true);
  }
  CHECK(taken(news) == texts{"+b0", "+b1", "+b2"});
  for (int round = 0; round < 3; ++round) {
    news.cancelled("b0", true);
    CHECK_FALSE(news.empty());
    news.subscribed("b0", true);
  }
  CHECK(news.empty());
}

TEST_CASE("where all is told, each subscription is, and an end takes back what is unread") {
  subscription_news news{10, true};
  news.subscribed("a", true);
  news.subscribed("a", false);
  news.subscribed("a", false);
  news.cancelled("a", false);
  CHECK(taken(news) == texts{"+a", "+a"});

  // Whoever keeps something for newcomers has to hear of each.
  news.cancelled("a", true);
  news.subscribed("a", true);
  CHECK(taken(news) == texts{"-a", "+a"});

  // The end of the last one is the end of all, however often each had subscribed.
  news.subscribed("a", false);
  news.subscribed("a", false);
  news.cancelled("a", true);
  CHECK(taken(news) == texts{"-a"});
  news.subscribed("a", true);
  news.subscribed("a", false);
  news.cancelled("a", true);
  CHECK(news.empty());
}

TEST_CASE("where all is told, a private topic is told though it ended, up to the limit") {
  subscription_news news{2, true};
  for (const char* each : {"\1 1", "\1 2", "\1 3", "a"}) {
    news.subscribed(each, true);
    news.cancelled(each, true);
  }
  CHECK(taken(news) == texts{"+\1 1", "-\1 1", "+\1 2", "-\1 2"});
  news.subscribed("\1 3", true);
  news.cancelled("\1 3", true);
  CHECK(taken(news) == texts{"+\1 3", "-\1 3"});
}

TEST_CASE("an end is told when one of several subscriptions was taken already") {
  subscription_news news{10, true};
  news.subscribed("a", true);
  news.subscribed("a", false);
  news.pop();
  news.cancelled("a", true);
  CHECK(taken(news) == texts{"-a"});
}

TEST_CASE("other messages are bounded by the limit, and leave room when taken") {
  subscription_news news{2};
  CHECK(news.add(message{"1"}));
  CHECK(news.add(message{"2"}));
  message refused{"3"};
  CHECK_FALSE(news.add(std::move(refused)));
  CHECK(refused == message{"3"});
  news.subscribed("a", true);
  news.pop();
  CHECK(news.add(std::move(refused)));
  CHECK(taken(news) == texts{"2", "+a", "3"});
  CHECK(news.add(message{"4"}));
  news.clear();
  CHECK(news.empty());
  CHECK(news.add(message{"5"}));
  CHECK(news.add(message{"6"}));
}
