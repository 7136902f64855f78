// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"

#include <parley/pipeline.hpp>

#include <memory>

namespace {

exit_code pull(runtime& run, const receive_args& args) {
  begin_receiving(run, args);
  const output out{args.json};
  const auto friends = args.curve.list(run.context());
  parley::worker worker{run.context(), {.curve = args.curve.get()}};
  const handshake_watch watch{args.curve, worker};
  take_places(worker, args.places.parse(), [&](const parley::endpoint& at) { out.bound(at); });
  return receive_all(args, [&](auto limit) {
    const auto task = worker.receive_for(limit);
    if (task) {
      out.message(task->body);
    }
    return task.has_value();
  });
}

}  // namespace

action add_pull(CLI::App& command) {
  auto args = std::make_shared<receive_args>();
  args->add_to(command, side::connect, "task");
  add_example(command, "parley pull tcp://localhost:5557 | xargs -n 1 convert-image");
  return [args](runtime& run) { return pull(run, *args); };
}
