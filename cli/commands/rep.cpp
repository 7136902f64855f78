// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"

#include <parley/socket.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

struct rep_args : receive_args {
  std::vector<std::string> body;  // one, or none
};

exit_code rep(runtime& run, const rep_args& args) {
  begin_receiving(run, args);
  const output out{args.json};
  const auto friends = args.curve.list(run.context());
  parley::socket socket{run.context(), parley::socket_kind::rep, {.curve = args.curve.get()}};
  const handshake_watch watch{args.curve, run.context(), socket};
  take_places(socket, args.places.parse(), [&](const parley::endpoint& at) { out.bound(at); });
  return receive_all(args, [&](auto limit) {
    auto request = socket.receive_for(limit);
    if (request) {
      out.message(*request);
      socket.send(args.body.empty() ? std::move(*request) : parley::message{args.body.front()});
    }
    return request.has_value();
  });
}

}  // namespace

action add_rep(CLI::App& command) {
  auto args = std::make_shared<rep_args>();
  args->add_to(command, side::bind, "request");
  add_words(command, "BODY", args->body, "the reply to every request; none: the request itself", 1);
  add_example(command, "parley rep tcp://*:5555 pong");
  return [args](runtime& run) { return rep(run, *args); };
}
