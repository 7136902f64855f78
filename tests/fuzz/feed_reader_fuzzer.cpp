// SPDX-License-Identifier: MPL-2.0
//
// Whatever publishers send, the reader hands out readable messages, keeps its books, keeps no more
// than it may and says nothing that was not asked of it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "choices.hpp"
#include "feed_reader.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

// Over all books.
feed_ledger sum(const feed_reader& reader) {
  feed_ledger all;
  for (const feed_ledger& each : reader.ledger()) {
    all.received += each.received;
    all.waiting += each.waiting;
    feed_prefix_ledger under;
    for (const feed_prefix_ledger& book : each.prefixes) {
      under.received += book.received;
      under.waiting += book.waiting;
      under.lost += book.lost;
    }
    require(under.received <= each.received && under.waiting <= each.waiting &&
            under.lost.total() <= each.lost.total());
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t own_id = 7;
  choices next{data, size};
  subscriber_options options;
  options.limit = 16;
  options.limit_bytes = 400;
  options.recover = next.octet() % 2 == 0;
  options.start.what = static_cast<feed_start::kind>(next.octet() % 5);
  feed_reader::time_point now{std::chrono::hours{1}};
  feed_reader reader{own_id, options, now};
  require(reader.subscribe("t"));
  std::uint64_t received = 0;
  publication got;
  feed_event event{};
  const auto take_one = [&] {
    const auto step = reader.next(got, event);
    if (step == feed_reader::step::message) {
      ++received;
      // All of it can be read.
      require(std::count(got.topic.view().begin(), got.topic.view().end(), '\0') +
                  std::count(got.body.view().begin(), got.body.view().end(), '\0') <=
              static_cast<std::ptrdiff_t>(got.topic.size() + got.body.size()));
    }
    return step != feed_reader::step::nothing;
  };
  while (next.has_more()) {
    const std::uint8_t what = next.octet();
    const std::size_t requests = reader.requests().size();
    switch (what % 5) {
      case 0: {
        message incoming{pack_address({own_id, next.octet() % 8U, next.octet()}),
                         frame{next.bytes()}};
        if (what >= 128) incoming.push_back(frame{next.bytes()});
        reader.take(std::move(incoming), now);
        require(reader.requests().size() <= requests + 1);
        break;
      }
      case 1: {
        message incoming{frame{next.bytes()}};
        for (int more = what / 64; more > 0; --more)
          incoming.push_back(frame{next.bytes()});
        reader.take(std::move(incoming), now);
        break;
      }
      case 2:
        static_cast<void>(take_one());
        require(reader.requests().size() <= requests + 1);
        break;
      case 3:
        now += std::chrono::milliseconds{what};
        what >= 128 ? reader.rest(now) : reader.tick(now);
        break;
      case 4:
        reader.requests().clear();
        static_cast<void>(what >= 128 ? reader.subscribe("u") : reader.unsubscribe("u"));
        static_cast<void>(reader.serving("t", now) + reader.serving("", now));
        break;
    }
    require(sum(reader).received == received);
  }
  const std::uint64_t waiting = sum(reader).waiting;
  require(waiting <= 64 * (16 + feed_reader::reserve) + 1000);
  const std::uint64_t before = received;
  while (take_one()) {
  }
  require(received - before == waiting);
  require(reader.is_empty());
  reader.rest(now);
  reader.tick(now + feed_reader::saying);
  require(reader.due() == feed_reader::time_point::max());
  reader.leave();
  return 0;
}
