// SPDX-License-Identifier: MPL-2.0
#include "peers/event_queue.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using kind = peer_event::kind;

namespace {

const peer_id loud = peer_id::random();
const peer_id quiet = peer_id::random();

peer_event whisper(const peer_id& from, std::size_t bytes = 1) {
  return {.what = kind::whisper, .peer = from, .content = message{std::string(bytes, 'x')}};
}

std::vector<peer_event> take_all(event_queue& from) {
  std::vector<peer_event> all;
  while (auto event = from.pop()) {
    all.push_back(std::move(*event));
  }
  return all;
}

std::size_t whispers(const std::vector<peer_event>& events) {
  std::size_t count = 0;
  for (const peer_event& each : events) {
    count += each.what == kind::whisper ? 1 : 0;
  }
  return count;
}

std::uint64_t told_lost(const std::vector<peer_event>& events) {
  std::uint64_t count = 0;
  for (const peer_event& each : events) {
    count += each.what == kind::lost ? each.count : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("a peer that says too much leaves room for others, and its loss is told to the message") {
  event_queue queue{100, 1'000'000};
  for (int count = 0; count < 1000; ++count) {
    queue.push(whisper(loud));
  }
  queue.push(whisper(quiet));
  const auto all = take_all(queue);
  CHECK(whispers(all) == 51);
  CHECK(all[50].peer == quiet);
  CHECK(told_lost(all) == 950);
  CHECK(queue.lost() == 950);
}

TEST_CASE("of two peers that say too much each gets a third, and another one is still heard") {
  const peer_id louder = peer_id::random();
  const auto count_of = [](const std::vector<peer_event>& events, const peer_id& from) {
    return std::ranges::count_if(events, [&](const peer_event& each) {
      return each.what == kind::whisper && each.peer == from;
    });
  };
  event_queue by_count{90, 1'000'000};
  event_queue by_bytes{1'000'000, 90'000};
  for (event_queue* const queue : {&by_count, &by_bytes}) {
    for (int count = 0; count < 200; ++count) {
      queue->push(whisper(loud, 1000));
      queue->push(whisper(louder, 1000));
    }
    queue->push(whisper(quiet, 1000));
    const auto all = take_all(*queue);
    CHECK(count_of(all, loud) == 30);
    CHECK(count_of(all, louder) == 30);
    CHECK(count_of(all, quiet) == 1);
    CHECK(queue->lost() == 340);
  }
}

TEST_CASE("a peer has its share anew when what it said is taken") {
  event_queue by_count{100, 1'000'000};
  event_queue by_bytes{1'000'000, 100'000};
  for (event_queue* const queue : {&by_count, &by_bytes}) {
    for (int turn = 0; turn < 10; ++turn) {
      for (int count = 0; count < 40; ++count) {
        queue->push(whisper(loud, 1000));
      }
      for (int count = 0; count < (turn == 0 ? 39 : 40); ++count) {
        CHECK(queue->pop().has_value());
      }
    }
    CHECK(queue->lost() == 0);
  }
}

TEST_CASE("what is offered beyond the share of its peer is refused and not lost") {
  event_queue queue{100, 1'000'000};
  int taken = 0;
  while (queue.offer(whisper(loud))) {
    REQUIRE(++taken <= 100);
  }
  CHECK(taken == 50);
  CHECK(queue.offer(whisper(quiet)));
  CHECK(take_all(queue).size() == 51);
  CHECK(queue.lost() == 0);
  CHECK(queue.offer(whisper(loud)));
}

TEST_CASE("a loss is told where it happened") {
  event_queue queue{4, 1'000'000};
  queue.push(whisper(loud));
  queue.push(whisper(loud));
  queue.push(whisper(loud));
  CHECK(queue.pop()->what == kind::whisper);
  queue.push(whisper(loud));
  const auto all = take_all(queue);
  REQUIRE(all.size() == 3);
  CHECK(all[0].what == kind::whisper);
  CHECK(all[1].what == kind::lost);
  CHECK(all[1].count == 1);
  CHECK(all[2].what == kind::whisper);
}

TEST_CASE("bytes are bounded as messages are, but one message always fits") {
  event_queue queue{100, 1000};
  queue.push(whisper(loud, 5000));
  queue.push(whisper(loud, 1));
  const auto all = take_all(queue);
  CHECK(whispers(all) == 1);
  CHECK(told_lost(all) == 1);
}

TEST_CASE("who enters and exits is heard even when too much was said") {
  event_queue queue{10, 1'000'000};
  for (int count = 0; count < 100; ++count) {
    queue.push(whisper(loud));
  }
  queue.push({.what = kind::exit, .peer = loud});
  const auto all = take_all(queue);
  CHECK(all.back().what == kind::exit);
  // And nobody fills the memory by coming and going.
  for (int count = 0; count < 100; ++count) {
    queue.push({.what = kind::enter, .peer = loud});
  }
  CHECK(take_all(queue).size() < 25);
}

TEST_CASE("a peer that comes and goes all the time leaves room for what others say") {
  event_queue queue{100, 1'000'000};
  for (int count = 0; count < 1000; ++count) {
    queue.push({.what = count % 2 == 0 ? kind::enter : kind::exit, .peer = loud});
  }
  queue.push(whisper(quiet));
  queue.push({.what = kind::exit, .peer = quiet});
  const auto all = take_all(queue);
  CHECK(all.size() < 60);
  CHECK(whispers(all) == 1);
  CHECK(std::ranges::any_of(
      all, [](const auto& each) { return each.what == kind::exit && each.peer == quiet; }));
}
