// SPDX-License-Identifier: MPL-2.0
//
// What the receiving commands have in common: until when they receive.
#pragma once

#include "args.hpp"
#include "curve.hpp"
#include "output.hpp"
#include "runtime.hpp"

#include <chrono>
#include <cstdint>
#include <string>

struct receive_args {
  places_arg places;
  timeout_arg timeout;
  count_arg count;
  curve_arg curve;
  bool json = false;

  // noun: "message", "task", "request".
  void add_to(CLI::App& command, side usual, const std::string& noun) {
    places.add_to(command, usual);
    add_count(command, count, "end after N " + noun + "s; without it, when interrupted");
    timeout.add_to(command, "the longest wait for the next " + noun);
    curve.add_to(command);
    add_json(command, json, "print each " + noun + " as a JSON object on a line of its own");
  }
};

// Of workers: what they have not begun goes back to its source at once, not when they are missed.
// Shorter than an interrupted command may take.
inline constexpr std::chrono::milliseconds to_say_goodbye{500};

// To be called first: what stopping the command means, and that it prints.
inline void begin_receiving(runtime& run, const receive_args& args) {
  if (!args.count) {
    run.set_endless();
  }
  run.watch_stdout();
}

// Calls receive(limit) again and again; it says whether anything came within the limit.
template<class Receive>
exit_code receive_all(const receive_args& args, Receive receive) {
  for (std::uint64_t received = 0; !args.count || received < *args.count; ++received) {
    if (!receive(args.timeout.get())) {
      say("parley: nothing came from " + args.places.str() + " within " + args.timeout.str());
      return exit_code::timed_out;
    }
  }
  return exit_code::done;
}
