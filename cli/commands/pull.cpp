// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"

#include <parley/pipeline.hpp>

#include <memory>

namespace {

struct pull_args : receive_args {
  bool plain = false;
};

exit_code pull(runtime& run, const pull_args& args) {
  begin_receiving(run, args);
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  parley::worker worker{run.context(), {.linger = to_say_goodbye, .curve = args.curve.get()}};
  const runtime::goodbye leaving{run, [&worker] { worker.close(); }};
  const auto watch = handshake_watch::listening_to(worker, args.curve);
  take_places(worker, args.places.parse(run), args.plain,
              [&](const parley::endpoint& at) { out.bound(at); });
  return receive_all(args, [&](auto limit) {
    auto task = worker.receive_for(limit);
    if (task) {
      out.message(task->body);
      task->done();
    }
    return task.has_value();
  });
}

}  // namespace

action add_pull(CLI::App& command) {
  auto args = std::make_shared<pull_args>();
  args->add_to(command, side::connect, "task");
  add_plain(command, args->plain, "PUSH");
  add_example(command, "parley pull tcp://localhost:5557 | xargs -n 1 convert-image");
  return [args](runtime& run) { return pull(run, *args); };
}
