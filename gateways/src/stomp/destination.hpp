// SPDX-License-Identifier: MPL-2.0
//
// What a destination names: its kind by the first word, the rest is the name.
#pragma once

#include <parley/stomp_limits.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::stomp {

inline constexpr std::string_view topic_word = "/topic/";
inline constexpr std::string_view temp_word = "/temp-queue/";
inline constexpr std::string_view reply_word = "/reply-queue/";

struct destination {
  enum class kind : std::uint8_t {
    topic,        // /topic/a.b
    queue,        // /queue/jobs
    service,      // /service/adder/add
    temp_queue,   // /temp-queue/x: this session's own
    reply_queue,  // /reply-queue/TOKEN/x: the same, as others call it
  };
  kind what;
  std::string_view name;    // without the leading word; a service's without its method
  std::string_view method;  // of a service; its name when none is given

  [[nodiscard]] static std::optional<destination> parse(std::string_view text);
  // Why parse() said no.
  [[nodiscard]] static std::string expected(std::string_view text);
  [[nodiscard]] bool within(const destination_limits& allowed) const noexcept;
  // Why within() said no.
  [[nodiscard]] static std::string too_long(const destination_limits& allowed);
};

}  // namespace parley::stomp
