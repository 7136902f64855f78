// SPDX-License-Identifier: MPL-2.0
#include "ask.hpp"
#include "commands.hpp"
#include "send.hpp"

#include <memory>

namespace {

exit_code req(runtime& run, const send_args& args) {
  input requests{args.input, run.stop_fd()};
  const output out{args.json};
  return ask_servers(run, args, out, [&](parley::client& client) {
    while (const auto body = requests.next()) {
      out.message(client.request({.timeout = args.timeout.get()}, *body));
    }
  });
}

}  // namespace

action add_req(CLI::App& command) {
  auto args = std::make_shared<send_args>();
  args->places.add_to(command, side::connect);
  args->input.add_to(command, false);
  args->timeout.add_to(command, "the longest wait for each reply", usual_timeout_seconds);
  args->curve.add_to(command);
  add_json(command, args->json, "print each reply as a JSON object on a line of its own");
  add_example(command, "parley req tcp://localhost:5555 ping");
  return [args](runtime& run) { return req(run, *args); };
}
