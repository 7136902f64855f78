// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "curve.hpp"
#include "feed_args.hpp"
#include "feed_report.hpp"
#include "output.hpp"

#include <parley/error.hpp>
#include <parley/forwarder.hpp>

#include <memory>
#include <string>
#include <vector>

namespace {

struct forward_args {
  std::vector<std::string> from;
  std::vector<std::string> to;
  std::vector<std::string> always;
  feed_memory_arg memory;
  curve_arg curve;
  bool json = false;
  stats_arg stats;
};

parley::forwarder_options options_of(const forward_args& args) {
  parley::forwarder_options chosen;
  chosen.downstream = args.memory.get();
  chosen.downstream.curve = args.curve.as_server();
  chosen.upstream.curve = args.curve.as_client();
  // Half of the keys would leave the other half of the connections open to be read.
  if (chosen.upstream.curve.own().has_value() != chosen.downstream.curve.own().has_value()) {
    throw parley::config_error{
        "--curve-keys and --curve-server are needed both: the keys for "
        "subscribers, the server's for publishers"};
  }
  chosen.always = args.always;
  if (!args.always.empty()) {
    // Begins with the memory of those before it, so that a restart does not empty it.
    chosen.upstream.start = chosen.downstream.history > 0  ? parley::feed_start::history()
                            : chosen.downstream.last_value ? parley::feed_start::last_values()
                                                           : parley::feed_start::now();
  }
  return chosen;
}

// For handshake_watch.
struct upstream_side {
  parley::forwarder& node;
  parley::monitor watch() { return node.watch_upstream(); }
};
struct downstream_side {
  parley::forwarder& node;
  parley::monitor watch() { return node.watch_downstream(); }
};

exit_code forward(runtime& run, const forward_args& args) {
  run.set_endless();
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), true);
  parley::forwarder node{run.context(), options_of(args)};
  upstream_side upstream{node};
  downstream_side downstream{node};
  const handshake_watch publishers{args.curve, upstream};
  const handshake_watch subscribers{args.curve, downstream, handshake_watch::role::server};
  for (const std::string& from : args.from) {
    node.connect(parley::endpoint{from});
  }
  for (const std::string& to : args.to) {
    out.bound(node.bind(parley::endpoint{to}));
  }
  const auto wait = [&] {
    run.wait_until_stopped();
    return exit_code::done;
  };
  return args.stats.after(wait, [&] { report(out, node); });
}

}  // namespace

action add_forward(CLI::App& command) {
  auto args = std::make_shared<forward_args>();
  command
      .add_option("--from", args->from,
                  "a publisher, or another forwarder, to connect to; may be repeated")
      ->required()
      ->option_text("ENDPOINT")
      ->allow_extra_args(false);
  command
      .add_option("--to", args->to, "a place to bind, where subscribers connect; may be repeated")
      ->required()
      ->option_text("ENDPOINT")
      ->allow_extra_args(false);
  command
      .add_option("--always", args->always,
                  "subscribe to this prefix though nobody asks for it, so that it is in the "
                  "memory; '' for all; may be repeated")
      ->option_text("PREFIX")
      ->allow_extra_args(false);
  args->memory.add_to(command);
  args->stats.add_to(command);
  args->curve.add_to(command);
  add_json(command, args->json, "announce what is bound as JSON objects on stdout");
  add_example(command,
              "parley forward --from tcp://head.office:5556 --to tcp://*:5556 --always '' "
              "--history 10000");
  return [args](runtime& run) { return forward(run, *args); };
}
