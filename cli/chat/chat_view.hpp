// SPDX-License-Identifier: MPL-2.0
//
// How an event of a chat looks: a line for people, or an object for scripts. Any thread.
#pragma once

#include "chat/chat_event.hpp"
#include "output.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// Microseconds since 1970.
[[nodiscard]] std::int64_t chat_time();

struct chat_view {
  bool has_colours = false;
  bool has_time = false;
  bool shows_own = true;    // what we said ourselves
  bool has_status = false;  // a line of its own that tells how far files are

  // Visible, without a line end. Empty: not for people.
  [[nodiscard]] std::string line(const chat_event& event, std::int64_t now) const;
  // The beginning of the line that is being typed.
  [[nodiscard]] std::string prompt(std::string_view room) const;
};

[[nodiscard]] json_object to_json(const chat_event& event, std::int64_t now);
