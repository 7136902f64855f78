// SPDX-License-Identifier: MPL-2.0
//
// Whatever comes on its links, a source's desk keeps its books, loses no task, and says only what
// can be read.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "choices.hpp"
#include "task_desk.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

void check(const task_desk& desk) {
  const source_statistics all = desk.statistics();
  require(all.accepted == all.done + all.failed + all.expired + all.dropped + all.waiting +
                              all.delayed + all.working);
  require(desk.held() == all.waiting + all.delayed + all.working);
  require(all.attempts == all.done + all.failures + all.given_back + all.working);
}

void read_all(task_desk& desk, task_desk::link which, task_desk::time_point now) {
  while (const auto next = desk.next_message(which, now)) {
    auto reader = task_reader::open((*next)[0].view());
    require(reader.has_value());
    std::size_t frames = 1;
    while (reader->has_more()) {
      const auto entry = reader->next();
      require(entry.has_value());
      frames += entry->body_follows ? 1 : 0;
    }
    require(frames == next->size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  choices next{data, size};
  source_options options;
  options.limit = 20;
  options.attempts = 2;
  options.dead_letters = 3;
  options.when_full = full_policy::drop_oldest;
  task_desk::time_point now{std::chrono::hours{1}};
  task_desk desk{options, 7, 0};
  for (std::uint64_t number = 1; number <= 5; ++number) {
    task_draft draft;
    draft.number = number;
    draft.body = frame{"body"};
    draft.pushed = now;
    if (number == 5) {
      draft.pack = task_pack_ref{new task_pack{0}};
      for (int count = 0; count < 8; ++count)
        draft.pack->add("body");
    } else if (number % 2 == 0) {
      draft.options = std::make_unique<task_options>();
      draft.options->key = "k";
    }
    desk.add(std::move(draft), now);
  }
  while (next.has_more()) {
    const std::uint8_t what = next.octet();
    const task_desk::link which = 1 + what / 128U;
    switch (what % 8) {
      case 0:
        now += std::chrono::milliseconds{what * 10};
        desk.tick(now);
        break;
      case 1:
        desk.lost(which, now);
        break;
      case 2:
        desk.opened(which, now);
        break;
      case 3: {
        message incoming{frame{next.bytes()}};
        incoming.push_back(frame{next.bytes()});
        desk.receive(which, std::move(incoming), now);
        break;
      }
      default: {
        const std::string entries = "PT\1" + std::string{next.bytes()};
        desk.receive(which, message{frame{entries}}, now);
        read_all(desk, which, now);
      }
    }
    check(desk);
    require(desk.held() <= 20 && desk.dead_letters(SIZE_MAX).size() <= 3);
  }
  return 0;
}
