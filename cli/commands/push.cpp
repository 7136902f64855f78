// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "send.hpp"

#include <parley/pipeline.hpp>

#include <memory>

namespace {

struct push_args : send_args {
  bool plain = false;
};

exit_code push(runtime& run, const push_args& args) {
  input tasks{args.input, run.stop_fd()};
  {
    const output out{args.json};
    const auto friends = args.curve.list(run.context());
    parley::source source{run.context(),
                          {.linger = args.timeout.as_linger(), .curve = args.curve.get()}};
    const auto watch = handshake_watch::listening_to(source, args.curve);
    take_places(source, args.places.parse(), args.plain,
                [&](const parley::endpoint& at) { out.bound(at); });
    while (const auto body = tasks.next()) {
      if (!source.push_for(*body, args.timeout.get())) {
        say("parley: there was no room for the next task at " + args.places.str() + " within " +
            args.timeout.str());
        return exit_code::timed_out;
      }
    }
    if (!source.wait_until_done(args.timeout.get())) {
      say("parley: not everything was done at " + args.places.str() + " within " +
          args.timeout.str());
      return exit_code::timed_out;
    }
  }
  return hand_over(run, args);
}

}  // namespace

action add_push(CLI::App& command) {
  auto args = std::make_shared<push_args>();
  args->places.add_to(command, side::bind);
  args->input.add_to(command, true);
  args->timeout.add_to(command, "the longest wait for room, and for what is still to be done");
  args->curve.add_to(command);
  add_plain(command, args->plain, "PULL");
  add_json(command, args->json, "announce what is bound as a JSON object on stdout");
  add_example(command, "ls *.png | parley push tcp://*:5557");
  return [args](runtime& run) { return push(run, *args); };
}
