// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "feed_args.hpp"
#include "feed_report.hpp"
#include "receive.hpp"

#include <parley/pub_sub.hpp>

#include <memory>
#include <string>
#include <vector>

namespace {

struct sub_args : receive_args {
  std::vector<std::string> prefixes;
  feed_start_arg start;
  bool no_recover = false;
  stats_arg stats;
};

exit_code sub(runtime& run, const sub_args& args) {
  begin_receiving(run, args);
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  parley::subscriber feed{
      run.context(),
      {.start = args.start.get(), .recover = !args.no_recover, .curve = args.curve.get()}};
  feed.on_event([&](const parley::feed_event& event) { out.feed_event(event); });
  const handshake_watch watch{args.curve, feed};
  for (const std::string& prefix : args.prefixes) {
    feed.subscribe(prefix);
  }
  if (args.prefixes.empty()) {
    feed.subscribe("");
  }
  take_places(feed, args.places.parse(run), [&](const parley::endpoint& at) { out.bound(at); });
  const auto receive = [&](auto limit) {
    const auto received = feed.receive_for(limit);
    if (received) {
      out.publication(*received);
    }
    return received.has_value();
  };
  return args.stats.after([&] { return receive_all(args, receive); },
                          [&] { report(out, feed.ledger()); });
}

}  // namespace

action add_sub(CLI::App& command) {
  auto args = std::make_shared<sub_args>();
  args->add_to(command, side::connect, "message");
  add_words(command, "PREFIX", args->prefixes, "of the topics wanted; none: every topic");
  args->start.add_to(command);
  command.add_flag("--no-recover", args->no_recover,
                   "after a lost connection, do not ask for what was published meanwhile");
  args->stats.add_to(command);
  add_example(
      command,
      "parley sub tcp://localhost:5556 prices. --count 10\n"
      "  parley sub tcp://localhost:5556 prices. --last        # and where things stand now\n"
      "  parley sub tcp://localhost:5556 --since 5m --json     # and the last five minutes");
  return [args](runtime& run) { return sub(run, *args); };
}
