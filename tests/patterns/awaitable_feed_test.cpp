// SPDX-License-Identifier: MPL-2.0
#include <parley/awaitable_feed.hpp>
#include <parley/error.hpp>
#include <parley/publisher.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://awaitable-feed", "inproc://awaitable-feed", "ipc://*",
                                "tcp://127.0.0.1:*"};

coroutine collect(poller& loop, subscriber& feed, std::vector<std::string>& into, std::size_t count,
                  std::stop_source& end) {
  while (into.size() < count) {
    const publication next = co_await receive(loop, feed);
    into.push_back(next.body.str());
  }
  end.request_stop();
}

coroutine try_once(poller& loop, subscriber& feed, bool& has_come, std::stop_source& end) {
  const std::optional<publication> next = co_await receive_for(loop, feed, 1ms);
  has_come = next.has_value();
  end.request_stop();
}

coroutine until_closed(poller& loop, subscriber& feed, bool& was_closed, std::stop_source& end) {
  try {
    static_cast<void>(co_await receive(loop, feed));
  } catch (const closed&) {
    was_closed = true;
  }
  end.request_stop();
}

}  // namespace

TEST_CASE("a coroutine receives from a subscriber, one by one and many at once") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher news{owner};
    subscriber feed{owner, news.bind(where), {"n"}, {.limit = 10}};
    REQUIRE(feed.wait_for_publishers(1, patience, "n"));
    poller loop;
    std::stop_source end;
    std::vector<std::string> got;
    coroutine collecting = collect(loop, feed, got, 1100, end);
    collecting.start();
    for (int number = 0; number < 100; ++number) {
      news.publish("n", std::to_string(number));
      while (got.size() <= static_cast<std::size_t>(number)) {
        REQUIRE(loop.wait_for(patience) > 0);
      }
    }
    for (int number = 100; number < 1100; ++number) {
      news.publish("n", std::to_string(number));
    }
    loop.run(end.get_token());
    REQUIRE(got.size() == 1100);
    CHECK(got.back() == "1099");
    CHECK(loop.size() == 0);
  }
}

TEST_CASE("a coroutine's wait for a publication ends at its limit") {
  context owner;
  subscriber feed{owner};
  static_cast<void>(feed.bind("tcp://127.0.0.1:0"));
  poller loop;
  std::stop_source end;
  bool has_come = true;
  coroutine waiting = try_once(loop, feed, has_come, end);
  waiting.start();
  loop.run(end.get_token());
  CHECK_FALSE(has_come);
  CHECK(loop.size() == 0);
}

TEST_CASE("a coroutine that is destroyed while it waits for a publication leaves the poller") {
  context owner;
  subscriber feed{owner};
  poller loop;
  std::stop_source end;
  std::vector<std::string> got;
  {
    coroutine waiting = collect(loop, feed, got, 1, end);
    waiting.start();
    CHECK(loop.size() > 0);
  }
  CHECK(loop.size() == 0);
}

TEST_CASE("a coroutine that receives from a closed subscriber hears so") {
  context owner;
  subscriber feed{owner};
  feed.close();
  poller loop;
  std::stop_source end;
  bool was_closed = false;
  coroutine waiting = until_closed(loop, feed, was_closed, end);
  waiting.start();
  CHECK(waiting.done());
  CHECK(was_closed);
}
