// SPDX-License-Identifier: MPL-2.0
//
// A dashboard wants the newest value of each gauge, not all that were before it: while it is busy,
// newer values take the place of older ones of the same topic.
//
// Run it: build/dev/examples/example_dashboard
#include <parley/pub_sub.hpp>

#include <iostream>
#include <map>
#include <string>
#include <thread>

using namespace std::chrono_literals;

int main() {
  constexpr int updates = 1000;
  const std::string gauges[] = {"gauges.power", "gauges.pressure", "gauges.speed"};
  parley::context context;
  parley::publisher plant{context, {.when_lagging = parley::lag_policy::newest_by_topic}};
  // Few on the way: what waits at the publisher is what can still be replaced.
  parley::subscriber dashboard{context, plant.bind("tcp://127.0.0.1:0"), {"gauges."}, {.limit = 8}};
  if (!plant.wait_for_subscribers(1, 5s, "gauges.")) {
    return 1;
  }

  // The dashboard is busy drawing until all of them are published.
  for (int update = 1; update <= updates; ++update) {
    for (const std::string& gauge : gauges) {
      plant.publish(gauge, update);
    }
  }
  while (plant.statistics().published < 3 * updates) {
    std::this_thread::yield();
  }

  std::map<std::string, int> shown;
  std::uint64_t received = 0;
  while (shown["gauges.power"] < updates || shown["gauges.pressure"] < updates ||
         shown["gauges.speed"] < updates) {
    const auto next = dashboard.receive_for(5s);
    if (!next) {
      return 1;
    }
    ++received;
    shown[next->topic.str()] = next->as<int>();
  }
  for (const auto& [gauge, value] : shown) {
    std::cout << gauge << ": " << value << '\n';
  }

  const parley::loss_counts lost = dashboard.ledger().front().lost;
  const std::uint64_t skipped = lost[parley::loss_reason::superseded];
  std::cout << received + skipped << " updates, most of them never sent: " << std::boolalpha
            << (received < 20) << '\n';
}
