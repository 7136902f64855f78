// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "commands.hpp"
#include "curve.hpp"
#include "output.hpp"

#include <parley/error.hpp>
#include <parley/stomp_gateway.hpp>

#include <arpa/inet.h>

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

// Shorter than what the program grants itself to end in.
constexpr std::chrono::milliseconds linger{500};

struct gateway_args {
  std::string stomp = "127.0.0.1:61613";
  bool allow_anonymous = false;
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
  std::vector<std::string> sources;   // QUEUE=ENDPOINT
  std::vector<std::string> workers;   // QUEUE=ENDPOINT
  std::vector<std::string> services;  // NAME=ENDPOINT
  curve_arg curve;
  bool json = false;
};

std::pair<std::string, place> parse_named(const std::string& option, const std::string& text,
                                          side usual) {
  const std::size_t split = text.find('=');
  if (split == 0 || split == std::string::npos) {
    throw parley::config_error{option + " '" + text + "' (expected NAME=ENDPOINT)"};
  }
  return {text.substr(0, split), place::parse(std::string_view{text}.substr(split + 1), usual)};
}

// Names are not looked up: what they stand for may change.
bool is_loopback(const std::string& host) {
  in_addr ipv4{};
  in6_addr ipv6{};
  if (inet_pton(AF_INET, host.c_str(), &ipv4) == 1) {
    return ntohl(ipv4.s_addr) >> 24 == 127;
  }
  if (inet_pton(AF_INET6, host.c_str(), &ipv6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&ipv6);
  }
  return host == "localhost";
}

parley::stomp_gateway_options listen_at(const gateway_args& args) {
  const parley::endpoint where{"tcp://" + args.stomp};
  parley::stomp_gateway_options options;
  options.host = where.address() == "*" ? "0.0.0.0" : where.address();
  options.port = where.port();
  options.linger = linger;
  options.curve_out = args.curve.as_server();
  options.curve_in = args.curve.as_client();
  // Half of the keys would leave the other half of the connections open to be read.
  const bool has_out = !args.publish.empty() || !args.sources.empty();
  const bool has_in = !args.subscribe.empty() || !args.workers.empty() || !args.services.empty();
  if (has_out && options.curve_in.own() && !options.curve_out.own()) {
    throw parley::config_error{"--publish and --source need --curve-keys beside --curve-server"};
  }
  if (has_in && options.curve_out.own() && !options.curve_in.own()) {
    throw parley::config_error{
        "--subscribe, --worker and --service need --curve-server beside --curve-keys"};
  }
  if (!is_loopback(options.host) && !args.allow_anonymous) {
    throw parley::config_error{
        "--stomp " + args.stomp +
        " (would let anybody on the network in; --allow-anonymous allows it)"};
  }
  return options;
}

exit_code gateway(runtime& run, const gateway_args& args) {
  run.set_endless();
  const output out{args.json};
  const auto friends =
      args.curve.list(run.context(), !args.publish.empty() || !args.sources.empty());
  parley::stomp_gateway gateway{run.context(), listen_at(args)};

  const auto announce = [&](const parley::endpoint& at) { out.bound(at); };
  std::list<handshake_watch> watches;
  std::set<std::string> watched;
  std::map<std::string, parley::stomp_gateway::link> tell_themselves;
  std::vector<std::unique_ptr<handshake_watch>> listening;
  // name: of the socket behind the link, which is watched once, however many places it has.
  const auto join = [&](const std::string& name, parley::stomp_gateway::link link,
                        handshake_watch::role ours, const place& where) {
    if (watched.insert(name).second) {
      watches.emplace_back(args.curve, link, ours);
    }
    take_places(link, {where}, announce);
  };
  const auto join_listening = [&](const std::string& name, parley::stomp_gateway::link link,
                                  handshake_watch::role ours, const place& where) {
    const auto [at, is_new] = tell_themselves.try_emplace(name, link);
    if (is_new) {
      listening.push_back(handshake_watch::listening_to(at->second, args.curve, ours));
    }
    take_places(at->second, {where}, announce);
  };
  constexpr auto server = handshake_watch::role::server;
  constexpr auto client = handshake_watch::role::by_options;
  for (const std::string& text : args.publish) {
    join("--publish", gateway.topics_out(), server, place::parse(text, side::bind));
  }
  for (const std::string& text : args.subscribe) {
    join("--subscribe", gateway.topics_in(), client, place::parse(text, side::connect));
  }
  for (const std::string& text : args.sources) {
    const auto [queue, where] = parse_named("--source", text, side::bind);
    join_listening("--source " + queue, gateway.queue_out(queue), server, where);
  }
  for (const std::string& text : args.workers) {
    const auto [queue, where] = parse_named("--worker", text, side::connect);
    join_listening("--worker " + queue, gateway.queue_in(queue), client, where);
  }
  for (const std::string& text : args.services) {
    const auto [name, where] = parse_named("--service", text, side::connect);
    join_listening("--service " + name, gateway.service(name), client, where);
  }

  out.listening("stomp", gateway.host(), gateway.port());
  gateway.start();
  run.wait_until_stopped();
  return exit_code::done;
}

void add_repeatable(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                    const std::string& value, const std::string& meaning) {
  command.add_option(name, values, meaning)->option_text(value)->allow_extra_args(false);
}

}  // namespace

action add_gateway(CLI::App& command) {
  auto args = std::make_shared<gateway_args>();
  command
      .add_option("--stomp", args->stomp, "where STOMP clients connect; port 0 picks a free one")
      ->option_text("HOST:PORT [127.0.0.1:61613]");
  command.add_flag("--allow-anonymous", args->allow_anonymous,
                   "accept any login on a HOST that others on the network can reach");
  add_repeatable(command, "--publish", args->publish, "ENDPOINT",
                 "native subscribers get what is sent to /topic/... here; binds");
  add_repeatable(command, "--subscribe", args->subscribe, "ENDPOINT",
                 "what is published here goes to /topic/...; connects");
  add_repeatable(command, "--source", args->sources, "QUEUE=ENDPOINT",
                 "native workers take tasks of /queue/QUEUE here; binds");
  add_repeatable(command, "--worker", args->workers, "QUEUE=ENDPOINT",
                 "tasks of native sources here enter /queue/QUEUE; connects");
  add_repeatable(command, "--service", args->services, "NAME=ENDPOINT",
                 "calls of /service/NAME go to this server; connects");
  args->curve.add_to(command);
  add_json(command, args->json, "announce what is bound and listened at as JSON objects on stdout");
  add_example(command,
              "parley gateway --subscribe tcp://feed:5556 --source jobs=tcp://*:5557 "
              "--service add=tcp://calc:5555");
  return [args](runtime& run) { return gateway(run, *args); };
}
