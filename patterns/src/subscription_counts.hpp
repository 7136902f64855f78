// SPDX-License-Identifier: MPL-2.0
//
// How many subscriptions of which prefix a publisher's peers hold, told by the messages that an
// XPUB socket hands up. Does no I/O; one thread at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace parley::detail {

class subscription_counts {
 public:
  // 0x01 prefix: one more; 0x00 prefix: one less; anything else is a message of a peer's program
  // and is ignored (RFC 29).
  void apply(std::string_view change);

  // Subscriptions that a message on topic would reach.
  [[nodiscard]] std::size_t matching(std::string_view topic) const;

 private:
  std::map<std::string, std::size_t, std::less<>> counts_;
};

}  // namespace parley::detail
