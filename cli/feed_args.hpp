// SPDX-License-Identifier: MPL-2.0
//
// The words of publish-subscribe on command lines: what a publisher keeps, and where a subscriber
// begins.
#pragma once

#include "args.hpp"

#include <parley/publisher.hpp>
#include <parley/subscriber.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

// A number of seconds, or with a unit: 200us, 10ms, 2.5s, 5m, 1h. Throws CLI::ValidationError.
[[nodiscard]] std::chrono::microseconds parse_duration(const std::string& text);

class duration_arg {
 public:
  CLI::Option* add_to(CLI::App& command, const std::string& name, const std::string& meaning);

  [[nodiscard]] bool is_set() const noexcept { return is_set_; }
  [[nodiscard]] std::chrono::microseconds get() const noexcept { return value_; }

 private:
  bool is_set_ = false;
  std::chrono::microseconds value_{0};
};

// What a publisher remembers, and does about subscribers that lag.
class feed_memory_arg {
 public:
  // Adds --history, --last, --when-lagging, --limit and --delay.
  void add_to(CLI::App& command);

  [[nodiscard]] parley::publisher_options get() const;

 private:
  parley::publisher_options options_;
  duration_arg delay_;
};

// Where a subscriber begins.
class feed_start_arg {
 public:
  // Adds --last, --history and --since.
  void add_to(CLI::App& command);

  [[nodiscard]] const parley::feed_start& get() const noexcept { return start_; }

 private:
  parley::feed_start start_;
};
