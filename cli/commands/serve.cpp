// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "commands.hpp"
#include "curve.hpp"
#include "json_lines.hpp"
#include "json_value.hpp"
#include "output.hpp"
#include "shell_command.hpp"

#include <parley/codec.hpp>
#include <parley/error.hpp>
#include <parley/request_reply.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

struct serve_args {
  places_arg places;
  std::vector<std::string> methods;  // NAME=COMMAND
  std::string rules;
  unsigned workers = 1;
  std::size_t queue = parley::server_options{}.queue;
  timeout_arg exec_timeout;
  curve_arg curve;
  bool json = false;
};

using methods = std::map<std::string, parley::server::packed_handler>;

[[noreturn]] void fail(const std::string& reason) {
  throw parley::remote_error{"command_failed", reason};
}

parley::server::packed_handler running(const shell_command& command, int stop_fd) {
  return [command, stop_fd](const parley::call_context& about, const msgpack::object& parameters) {
    const json_object given = from_msgpack(parley::encode(parameters).view());
    const command_answer answer =
        command.run(given.dump(-1, ' ', false, json_object::error_handler_t::replace) + '\n',
                    stop_fd, about.stop_token());
    if (answer.failure) {
      fail(*answer.failure);
    }
    try {
      return to_msgpack(answer.text.empty() ? json_object{} : parse_json_or_text(answer.text));
    } catch (const json_mistake& mistake) {
      fail("what it wrote is no JSON at column " + std::to_string(mistake.column) + ": " +
           mistake.what());
    }
  };
}

// Throws config_error.
methods methods_of(const serve_args& args, int stop_fd) {
  methods made;
  for (const std::string& text : args.methods) {
    const std::size_t split = text.find('=');
    if (split == 0 || split == std::string::npos) {
      throw parley::config_error{"--method '" + text + "' (expected NAME=COMMAND)"};
    }
    if (!made.emplace(text.substr(0, split),
                      running({text.substr(split + 1), args.exec_timeout}, stop_fd))
             .second) {
      throw parley::config_error{"--method '" + text + "' (the second of that name)"};
    }
  }
  if (!args.rules.empty()) {
    for (const json_line& line : read_json_lines(args.rules)) {
      line.refuse_others({"method", "exec", "result"});
      const std::string name = line.text("method");
      parley::server::packed_handler answer =
          line.one_of({"exec", "result"}) == "exec"
              ? running({line.text("exec"), args.exec_timeout}, stop_fd)
              : [result = to_msgpack(line.fields()["result"])](
                    const parley::call_context&, const msgpack::object&) { return result; };
      if (!made.emplace(name, std::move(answer)).second) {
        line.fail("method", "the second method of that name");
      }
    }
  }
  if (made.empty()) {
    throw parley::config_error{"there is no method (--method or --rules names some)"};
  }
  return made;
}

exit_code serve(runtime& run, const serve_args& args) {
  const methods offered = methods_of(args, run.stop_fd());
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  parley::server server{run.context(),
                        {.workers = args.workers, .queue = args.queue, .curve = args.curve.get()}};
  for (const auto& [name, answer] : offered) {
    server.handle_packed(name, answer);
  }
  const handshake_watch watch{args.curve, server};
  take_places(server, args.places.parse(run), [&](const parley::endpoint& at) { out.bound(at); });
  run.wait_until_stopped();
  return exit_code::done;
}

}  // namespace

action add_serve(CLI::App& command) {
  auto args = std::make_shared<serve_args>();
  args->places.add_to(command, side::bind);
  command
      .add_option("--method", args->methods,
                  "a method that runs this command of the shell for each call: the arguments are "
                  "on its stdin as JSON, its stdout is the result; may be repeated")
      ->option_text("NAME=COMMAND")
      ->allow_extra_args(false);
  command
      .add_option(
          "--rules", args->rules,
          "a file with a method a line: {\"method\": ..., \"result\": ...} or \"exec\" for a "
          "command")
      ->option_text("PATH");
  command.add_option("--workers", args->workers, "so many calls at once")
      ->option_text("N [1]")
      ->check(CLI::Range(1, 1000));
  command.add_option("--queue", args->queue, "so many more may wait; beyond, calls are refused")
      ->option_text("N [10000]")
      ->check(CLI::PositiveNumber);
  args->exec_timeout.add_to(command, "--exec-timeout",
                            "the longest that a command may take; then it is killed",
                            usual_timeout_seconds);
  args->curve.add_to(command);
  add_json(command, args->json, "announce what is bound as a JSON object on stdout");
  add_example(command,
              "parley serve tcp://*:5555 --method 'sum=jq add' --method now=date\n"
              "  parley call tcp://localhost:5555 sum 2 3");
  return [args](runtime& run) { return serve(run, *args); };
}
