// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"

#include <parley/pub_sub.hpp>

#include <memory>
#include <string>
#include <vector>

namespace {

struct sub_args : receive_args {
  std::vector<std::string> prefixes;
};

exit_code sub(runtime& run, const sub_args& args) {
  begin_receiving(run, args);
  const output out{args.json};
  const auto friends = args.curve.list(run.context());
  parley::subscriber feed{run.context(), {.curve = args.curve.get()}};
  const handshake_watch watch{args.curve, feed};
  for (const std::string& prefix : args.prefixes) {
    feed.subscribe(prefix);
  }
  if (args.prefixes.empty()) {
    feed.subscribe("");
  }
  take_places(feed, args.places.parse(), [&](const parley::endpoint& at) { out.bound(at); });
  return receive_all(args, [&](auto limit) {
    const auto event = feed.receive_for(limit);
    if (event) {
      out.publication(event->topic, event->body);
    }
    return event.has_value();
  });
}

}  // namespace

action add_sub(CLI::App& command) {
  auto args = std::make_shared<sub_args>();
  args->add_to(command, side::connect, "message");
  add_words(command, "PREFIX", args->prefixes, "of the topics wanted; none: every topic");
  add_example(command, "parley sub tcp://localhost:5556 prices. --count 10");
  return [args](runtime& run) { return sub(run, *args); };
}
