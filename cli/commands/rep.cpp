// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"
#include "reply_rules.hpp"
#include "shell_command.hpp"

#include <parley/socket.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

struct rep_args : receive_args {
  std::vector<std::string> body;  // one, or none
  std::string rules;
  std::string exec;
  timeout_arg exec_timeout;
};

using answering = std::function<parley::message(parley::message request)>;

// What a plain requester can tell apart: a second frame.
parley::message error_reply(const std::string& reason) {
  return parley::message{parley::frame{"error"}, parley::frame{reason}};
}

answering answering_by(const rep_args& args, int stop_fd) {
  if (!args.rules.empty()) {
    return [rules = reply_rules{args.rules}](const parley::message& request) {
      const auto reply = rules.reply_to(as_text(request));
      return reply ? parley::message{parley::frame{*reply}}
                   : error_reply("no rule fits this request");
    };
  }
  if (!args.exec.empty()) {
    return [command = shell_command{args.exec, args.exec_timeout},
            stop_fd](const parley::message& request) {
      const auto answer = command.run(as_text(request), stop_fd);
      return answer.failure ? error_reply(*answer.failure)
                            : parley::message{parley::frame{answer.text}};
    };
  }
  if (!args.body.empty()) {
    return [reply = parley::frame{args.body.front()}](const parley::message&) {
      return parley::message{reply};
    };
  }
  return [](parley::message request) { return request; };
}

exit_code rep(runtime& run, const rep_args& args) {
  begin_receiving(run, args);
  const answering answer = answering_by(args, run.stop_fd());
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  parley::socket socket{run.context(), parley::socket_kind::rep, {.curve = args.curve.get()}};
  const handshake_watch watch{args.curve, run.context(), socket};
  take_places(socket, args.places.parse(run), [&](const parley::endpoint& at) { out.bound(at); });
  return receive_all(args, [&](auto limit) {
    auto request = socket.receive_for(limit);
    if (request) {
      out.message(*request);
      socket.send(answer(std::move(*request)));
    }
    return request.has_value();
  });
}

}  // namespace

action add_rep(CLI::App& command) {
  auto args = std::make_shared<rep_args>();
  args->add_to(command, side::bind, "request");
  auto* body = add_words(command, "BODY", args->body,
                         "the reply to every request; none: the request itself", 1);
  auto* rules =
      command.add_option("--rules", args->rules,
                         "reply by the first line that fits of this file: {\"text\": ..., "
                         "\"reply\": ...}, or \"prefix\", or \"regex\" and \\1 in the reply");
  rules->option_text("PATH")->excludes(body);
  auto* exec = command.add_option("--exec", args->exec,
                                  "run this command of the shell for each request, which is on its "
                                  "stdin; its stdout is the reply");
  exec->option_text("COMMAND")->excludes(body)->excludes(rules);
  args->exec_timeout
      .add_to(command, "--exec-timeout", "the longest that the command may take; then it is killed",
              usual_timeout_seconds)
      ->needs(exec);
  add_example(command,
              "parley rep tcp://*:5555 pong\n  parley rep tcp://*:5555 --exec 'tr a-z A-Z'");
  return [args](runtime& run) { return rep(run, *args); };
}
