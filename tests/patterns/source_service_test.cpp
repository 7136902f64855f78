// SPDX-License-Identifier: MPL-2.0
#include <parley/client.hpp>
#include <parley/context.hpp>
#include <parley/pipeline.hpp>
#include <parley/source_service.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::await;

TEST_CASE("a client of the server that a source is offered by sees and changes its dead letters") {
  context owner;
  source tasks{owner, {.attempts = 1, .linger = 0ms}};
  server managing{owner, {.linger = 0ms}};
  offer(tasks, managing);
  client caller{owner, managing.bind("inproc://manage")};
  worker failing{owner, tasks.bind("inproc://tasks"), {.name = "failing"}};
  for (const char* body : {"a", "b", "c"}) {
    tasks.push(body, {.key = body});
    failing.receive().reject("no");
  }
  REQUIRE(await([&] { return tasks.statistics().dead_letters == 3; }));

  const auto figures = caller.call<std::map<std::string, std::uint64_t>>("queue.statistics");
  CHECK(figures.at("accepted") == 3);
  CHECK(figures.at("dead_letters") == 3);
  const auto workers = caller.call<std::vector<worker_row>>("queue.workers");
  REQUIRE(workers.size() == 1);
  CHECK(workers.front().name == "failing");

  CHECK(caller.call<bool>("queue.drop", 2));
  CHECK_FALSE(caller.call<bool>("queue.retry", 2));
  std::string left;
  for (const dead_letter_row& each : caller.stream<dead_letter_row>("queue.dead_letters")) {
    left += each.key + std::string{each.body.begin(), each.body.end()} + each.failure + " ";
  }
  CHECK(left == "aano ccno ");
  CHECK(caller.call<bool>("queue.retry", 1));
  CHECK(failing.receive().body == "a");
  managing.close();
}
