// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "send.hpp"

#include <parley/pub_sub.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace {

struct pub_args : send_args {
  std::string topic;
  std::size_t subscribers = 1;
};

exit_code pub(runtime& run, const pub_args& args) {
  input messages{args.input, run.stop_fd()};
  {
    const output out{args.json};
    const auto friends = args.curve.list(run.context());
    parley::publisher publisher{run.context(),
                                {.linger = args.timeout.as_linger(), .curve = args.curve.get()}};
    const handshake_watch watch{args.curve, publisher};
    take_places(publisher, args.places.parse(), [&](const parley::endpoint& at) { out.bound(at); });
    if (!publisher.wait_for_subscribers(args.subscribers, args.timeout.get(), args.topic)) {
      say("parley: fewer than " + std::to_string(args.subscribers) + " subscribed to '" +
          args.topic + "' at " + args.places.str() + " within " + args.timeout.str() +
          " (--wait 0 publishes without any)");
      return exit_code::timed_out;
    }
    while (const auto body = messages.next()) {
      publisher.publish(args.topic, *body);
    }
  }
  return hand_over(run, args);
}

}  // namespace

action add_pub(CLI::App& command) {
  auto args = std::make_shared<pub_args>();
  args->places.add_to(command, side::bind);
  command.add_option("TOPIC", args->topic, "of all messages")->required()->option_text(" ");
  args->input.add_to(command, false);
  command.add_option("--wait", args->subscribers, "begin once N subscribers are there")
      ->option_text("N [1]");
  args->timeout.add_to(command,
                       "the longest wait for subscribers, and for what is still to be sent");
  args->curve.add_to(command);
  add_json(command, args->json, "announce what is bound as a JSON object on stdout");
  add_example(command, "parley pub tcp://*:5556 prices.eurusd 1.0842");
  return [args](runtime& run) { return pub(run, *args); };
}
