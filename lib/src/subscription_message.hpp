// SPDX-License-Identifier: MPL-2.0
//
// How a subscriber tells a publisher what it wants: a frame of 1 (from now on) or 0 (no more) and
// the prefix, as in RFC 29.
#pragma once

#include <parley/message.hpp>

#include <string>
#include <string_view>

namespace parley::detail {

constexpr char subscribe_byte = '\1';
constexpr char unsubscribe_byte = '\0';
// See socket_options::private_topics.
constexpr char private_topic_octet = 1;

[[nodiscard]] inline bool is_private(std::string_view topic) noexcept {
  return topic.starts_with(private_topic_octet);
}

[[nodiscard]] inline message subscription_message(char what, std::string_view prefix) {
  return message{frame{std::string(1, what).append(prefix)}};
}

[[nodiscard]] inline bool is_subscription(const message& incoming) noexcept {
  return incoming.size() == 1 && !incoming.front().empty() &&
         (incoming.front().view().front() == subscribe_byte ||
          incoming.front().view().front() == unsubscribe_byte);
}

}  // namespace parley::detail
