// SPDX-License-Identifier: MPL-2.0
#include <parley/source_service.hpp>

#include <map>
#include <string_view>

namespace parley {
namespace {

std::map<std::string, std::uint64_t> by_name(const source_statistics& of) {
  return {{"accepted", of.accepted},     {"done", of.done},
          {"failed", of.failed},         {"expired", of.expired},
          {"dropped", of.dropped},       {"refused", of.refused},
          {"attempts", of.attempts},     {"failures", of.failures},
          {"given_back", of.given_back}, {"late", of.late},
          {"nonsense", of.nonsense},     {"journal_errors", of.journal_errors},
          {"waiting", of.waiting},       {"delayed", of.delayed},
          {"working", of.working},       {"dead_letters", of.dead_letters}};
}

dead_letter_row row_of(const dead_letter& letter) {
  const std::string_view body = letter.body.view();
  return {.number = letter.id.number,
          .key = letter.options.key,
          .to = letter.options.to,
          .priority = letter.options.priority,
          .attempts = letter.attempts,
          .failure = letter.why,
          .body = {body.begin(), body.end()}};
}

}  // namespace

void offer(source& of, server& by) {
  by.handle("queue.statistics", [&of] { return by_name(of.statistics()); });
  by.handle("queue.workers", [&of] {
    std::vector<worker_row> rows;
    for (const worker_status& each : of.workers()) {
      rows.push_back({.id = each.id,
                      .name = each.name,
                      .working = each.working,
                      .credit = each.credit,
                      .done = each.done});
    }
    return rows;
  });
  by.handle("queue.dead_letters", [&of](results<dead_letter_row>& out) {
    for (const dead_letter& each : of.dead_letters()) {
      if (!out.send(row_of(each))) {
        return;
      }
    }
  });
  by.handle("queue.retry", {"number"}, [&of](std::uint64_t number) { return of.retry(number); });
  by.handle("queue.drop", {"number"}, [&of](std::uint64_t number) { return of.drop(number); });
}

}  // namespace parley
