// SPDX-License-Identifier: MPL-2.0
#include "ask.hpp"
#include "commands.hpp"
#include "json_value.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <cctype>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct call_args {
  places_arg places;
  std::string method;
  std::vector<std::string> words;
  timeout_arg timeout;
  curve_arg curve;
  bool json = false;
};

// The length of NAME in NAME=VALUE; 0: it is no such word.
std::size_t name_length(std::string_view word) {
  const auto in_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  const auto end =
      static_cast<std::size_t>(std::find_if_not(word.begin(), word.end(), in_name) - word.begin());
  const bool named = end > 0 && end < word.size() && word[end] == '=' &&
                     std::isdigit(static_cast<unsigned char>(word.front())) == 0;
  return named ? end : 0;
}

// An array, or an object where all have names. Throws config_error.
json_object parameters(const std::vector<std::string>& words) {
  json_object positional = json_object::array();
  json_object named = json_object::object();
  for (const std::string& word : words) {
    const std::size_t name = name_length(word);
    const auto value = std::string_view{word}.substr(name == 0 ? 0 : name + 1);
    try {
      json_object parsed = parse_json_or_text(value);
      if (name == 0) {
        positional.push_back(std::move(parsed));
      } else if (!named.emplace(word.substr(0, name), std::move(parsed)).second) {
        throw parley::config_error{"'" + word + "' (the second value of that name)"};
      }
    } catch (const json_mistake& mistake) {
      throw parley::config_error{"'" + std::string{value} + "', column " +
                                 std::to_string(mistake.column) + ": " + mistake.what()};
    }
  }
  if (!named.empty() && !positional.empty()) {
    throw parley::config_error{"give all arguments a name, or none"};
  }
  return named.empty() ? positional : named;
}

parley::message reply_to(parley::client& client, const call_args& args,
                         const parley::frame& packed) {
  std::promise<parley::call_outcome> promise;
  auto reply = promise.get_future();
  client.call_packed({.timeout = args.timeout.get()}, args.method, packed,
                     [&promise](parley::call_outcome&& came) { promise.set_value(came); });
  return reply.get().value();
}

exit_code call(runtime& run, const call_args& args) {
  const parley::frame packed = to_msgpack(parameters(args.words));
  const output out{args.json};
  return ask_servers(run, args, out, [&](parley::client& client) {
    const parley::message reply = reply_to(client, args, packed);
    parley::client::unpack<void>(reply);  // throws what the server threw
    const json_object result = std::move(from_msgpack(reply.front().view())[3]);
    out.line(args.json ? json_object{{"result", result}} : result);
  });
}

}  // namespace

action add_call(CLI::App& command) {
  auto args = std::make_shared<call_args>();
  args->places.add_to(command, side::connect);
  command.add_option("METHOD", args->method, "its name")->required()->option_text(" ");
  add_words(command, "ARGS", args->words,
            "its arguments, as JSON; a word that is no JSON is a text; NAME=JSON gives one a name");
  args->timeout.add_to(command, "the longest wait for the result", usual_timeout_seconds);
  args->curve.add_to(command);
  add_json(command, args->json, "print the result as {\"result\": ...}");
  add_example(command,
              "parley call tcp://localhost:5555 add 2 3\n"
              "  parley call tcp://localhost:5555 resize file=a.png width=640 'tags=[\"new\"]'");
  return [args](runtime& run) { return call(run, *args); };
}
