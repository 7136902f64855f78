// SPDX-License-Identifier: MPL-2.0
#include <parley/feed_ledger.hpp>

namespace parley {

std::string_view to_string(loss_reason reason) noexcept {
  switch (reason) {
    case loss_reason::lagged:
      return "lagged";
    case loss_reason::superseded:
      return "superseded";
    case loss_reason::too_old:
      return "too old";
    case loss_reason::away:
      return "away";
    case loss_reason::forgotten:
      return "forgotten";
    case loss_reason::cut_off:
      return "cut off";
    case loss_reason::upstream:
      return "upstream";
  }
  return "unknown";
}

prefix_ledger& prefix_ledger::operator+=(const prefix_ledger& other) noexcept {
  published += other.published;
  delivered += other.delivered;
  queued += other.queued;
  dropped += other.dropped;
  return *this;
}

prefix_ledger subscriber_ledger::sum() const {
  prefix_ledger all;
  for (const prefix_ledger& each : prefixes) {
    all += each;
  }
  return all;
}

}  // namespace parley
