// SPDX-License-Identifier: MPL-2.0
//
// A source's figures and dead letters as methods of a server, for who looks in from outside: any
// client, and `parley queue`.
//
//   queue.statistics()     source_statistics: {name: number}
//   queue.workers()        [worker_row]
//   queue.dead_letters()   dead_letter_row one by one, the oldest first
//   queue.retry(number)    whether there was such a dead letter
//   queue.drop(number)     the same
//
// Who may call the server may do all of this; see server_options::curve.
#pragma once

#include <parley/server.hpp>
#include <parley/source.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace parley {

struct worker_row {
  std::uint64_t id = 0;
  std::string name{};
  std::uint64_t working = 0;
  std::uint64_t credit = 0;
  std::uint64_t done = 0;
  MSGPACK_DEFINE_MAP(id, name, working, credit, done)
};

struct dead_letter_row {
  std::uint64_t number = 0;
  std::string key{};
  std::string to{};
  int priority = 0;
  std::uint32_t attempts = 0;
  std::string failure{};
  std::vector<char> body{};
  MSGPACK_DEFINE_MAP(number, key, to, priority, attempts, failure, body)
};

// Requires: of outlives by, or closes after it.
void offer(source& of, server& by);

}  // namespace parley
