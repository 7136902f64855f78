// SPDX-License-Identifier: MPL-2.0
//
// What the sending commands have in common: what they send, and when it is done.
#pragma once

#include "args.hpp"
#include "curve.hpp"
#include "input.hpp"
#include "output.hpp"
#include "runtime.hpp"

#include <chrono>
#include <string>

struct send_args {
  places_arg places;
  input_arg input;
  timeout_arg timeout;
  curve_arg curve;
  bool json = false;
};

// Waits until what was sent is handed over to the peers' machines. Requires: the command's sockets
// and patterns are gone, and had args.timeout.as_linger().
inline exit_code hand_over(runtime& run, const send_args& args) {
  const auto start = std::chrono::steady_clock::now();
  run.finish();
  const auto allowed = args.timeout.get();
  if (allowed > decltype(allowed)::zero() && std::chrono::steady_clock::now() - start >= allowed) {
    say("parley: not everything could be handed over at " + args.places.str() + " within " +
        args.timeout.str());
    return exit_code::timed_out;
  }
  return exit_code::done;
}
