// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "send.hpp"

#include <parley/error.hpp>
#include <parley/request_reply.hpp>

#include <cstdint>
#include <future>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

struct req_args : send_args {
  std::string method;
};

parley::frame pack_parameters(const parley::frame& body) {
  const auto parameters = json_object::parse(body.view(), nullptr, false);
  if (!parameters.is_array()) {
    throw parley::config_error{
        "with --call the BODY is a JSON array of parameters, such as [2, 3]; '" + body.str() + "'"};
  }
  const std::vector<std::uint8_t> packed = json_object::to_msgpack(parameters);
  return parley::frame{packed.data(), packed.size()};
}

json_object call(parley::client& client, const req_args& args, const parley::frame& body) {
  std::promise<parley::call_outcome> promise;
  auto reply = promise.get_future();
  client.call_packed({.timeout = args.timeout.get()}, args.method, pack_parameters(body),
                     [&promise](parley::call_outcome&& came) { promise.set_value(came); });
  const parley::message response = reply.get().value();
  parley::client::unpack<void>(response);
  // Nested no deeper than unpack allows, which is harmless to this recursive parser.
  json_object fields = json_object::from_msgpack(response.front().view(), true, false);
  if (!fields.is_array()) {
    throw parley::protocol_error{"show the result as JSON"};
  }
  return std::move(fields[3]);
}

exit_code req(runtime& run, const req_args& args) {
  input requests{args.input, run.stop_fd()};
  const output out{args.json};
  const auto friends = args.curve.list(run.context());
  parley::client client{run.context(), {.curve = args.curve.get()}};
  const std::vector<place> places = args.places.parse();
  std::list<handshake_watch> watches;
  for (const place& each : places) {
    watches.emplace_back(args.curve, client, each.where);
  }
  take_places(client, places, [&](const parley::endpoint& at) { out.bound(at); });
  while (const auto body = requests.next()) {
    try {
      if (args.method.empty()) {
        out.message(client.request({.timeout = args.timeout.get()}, *body));
      } else {
        const json_object result = call(client, args, *body);
        out.line(args.json ? json_object{{"result", result}} : result);
      }
    } catch (const parley::no_server&) {
      say("parley: no server at " + args.places.str() + " within " + args.timeout.str());
      return exit_code::timed_out;
    } catch (const parley::timed_out&) {
      say("parley: no reply from " + args.places.str() + " within " + args.timeout.str());
      return exit_code::timed_out;
    }
  }
  return exit_code::done;
}

}  // namespace

action add_req(CLI::App& command) {
  auto args = std::make_shared<req_args>();
  args->places.add_to(command, side::connect);
  args->input.add_to(command, false);
  command
      .add_option("--call", args->method,
                  "call this method with BODY, a JSON array of parameters (none: []); print the "
                  "result as JSON")
      ->option_text("METHOD");
  args->timeout.add_to(command, "the longest wait for each reply", usual_timeout_seconds);
  args->curve.add_to(command);
  add_json(command, args->json, "print each reply as a JSON object on a line of its own");
  add_example(command,
              "parley req tcp://localhost:5555 ping\n"
              "  parley req tcp://localhost:5555 --call add '[2, 3]'");
  return [args](runtime& run) {
    if (!args->method.empty() && args->input.bodies.empty() && args->input.file.empty()) {
      args->input.bodies = {"[]"};
    }
    return req(run, *args);
  };
}
