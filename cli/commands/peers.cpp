// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "chat/visible_text.hpp"
#include "commands.hpp"
#include "curve.hpp"
#include "output.hpp"

#include <parley/peers.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;
using parley::peer_event;

// Of a look around: a peer is heard within a second, and greeted within another one.
constexpr double usual_look_seconds = 2.5;

struct peers_args {
  std::string name;
  network_arg network;
  curve_arg curve;
  bool watch = false;
  bool json = false;
  count_arg count;
  timeout_arg timeout;
};

json_object texts(const std::vector<std::string>& all) {
  auto array = json_object::array();
  for (const std::string& each : all) {
    array.push_back(visible(each));
  }
  return array;
}

json_object texts(const std::map<std::string, std::string>& all) {
  auto object = json_object::object();
  for (const auto& [name, value] : all) {
    object[visible(name)] = visible(value);
  }
  return object;
}

void put_peer(json_object& object, const parley::peer_id& who, const std::string& name) {
  object["peer"] = who.str();
  put(object, "name", name);
}

void put_key(json_object& object, const std::optional<parley::curve_key>& key) {
  if (key) {
    object["key"] = key->z85();
  }
}

std::string joined(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& each : all) {
    text += (text.empty() ? "" : ",") + visible(each);
  }
  return text;
}

std::string joined(const std::map<std::string, std::string>& all) {
  std::string text;
  for (const auto& [name, value] : all) {
    text += (text.empty() ? "" : " ") + visible(name) + '=' + visible(value);
  }
  return text;
}

void print(const output& out, const parley::peer_status& who) {
  if (!out.is_json()) {
    out.line(visible(who.name) + '\t' + who.id.str() + '\t' + visible(who.address) + '\t' +
             joined(who.groups) + '\t' + joined(who.headers));
    return;
  }
  json_object object;
  put_peer(object, who.id, who.name);
  put(object, "address", who.address);
  object["groups"] = texts(who.groups);
  object["headers"] = texts(who.headers);
  object["evasive"] = who.is_evasive;
  put_key(object, who.key);
  out.line(object);
}

void print(const output& out, const peer_event& event) {
  using kind = peer_event::kind;
  const bool is_of_group =
      event.what == kind::join || event.what == kind::leave || event.what == kind::shout;
  if (!out.is_json()) {
    std::string detail;
    if (event.what == kind::enter) {
      detail = visible(event.address) + '\t' + joined(event.headers);
    } else if (event.what == kind::exit) {
      detail = to_string(event.reason);
    } else if (is_of_group) {
      detail = visible(event.group);
    } else if (event.what == kind::lost || event.what == kind::unmuted) {
      detail = std::to_string(event.count);
    }
    out.line(std::string{to_string(event.what)} + '\t' + visible(event.name) + '\t' +
             event.peer.str() + (detail.empty() ? "" : '\t' + detail) +
             (event.content.empty() ? "" : '\t' + visible(event.content.front().view())));
    return;
  }
  json_object object{{"event", to_string(event.what)}};
  put_peer(object, event.peer, event.name);
  if (event.what == kind::enter) {
    put(object, "address", event.address);
    object["headers"] = texts(event.headers);
    put_key(object, event.key);
  } else if (event.what == kind::exit) {
    object["reason"] = to_string(event.reason);
  } else if (is_of_group) {
    put(object, "group", event.group);
  } else if (event.what == kind::lost || event.what == kind::unmuted) {
    object["count"] = event.count;
  }
  if (!event.content.empty()) {
    put(object, "body", event.content.front().view());
  }
  out.line(object);
}

// Why who should be here may not be.
void say_who_was_passed_over(const parley::peers& lan, const peers_args& args) {
  const auto seen = lan.statistics();
  if (seen.other_version > 0) {
    say(args.network.has_keys()
            ? "parley: peers without keys, or of another version, were heard"
            : "parley: peers with keys, which takes --curve-keys to meet, or of "
              "another version, were heard");
  }
  if (seen.not_allowed > 0) {
    say("parley: peers were heard whose keys are not on the list");
  }
}

exit_code look(parley::peers& lan, const output& out, const peers_args& args) {
  const bool are_enough = lan.wait_for_peers(
      args.count.value_or(std::numeric_limits<std::size_t>::max()), args.timeout.get());
  auto all = lan.here();
  std::ranges::sort(all, {}, [](const auto& each) { return std::pair{each.name, each.id}; });
  for (const parley::peer_status& each : all) {
    print(out, each);
  }
  if (args.count && !are_enough) {
    say("parley: fewer than " + std::to_string(*args.count) + " were found within " +
        args.timeout.str());
    say_who_was_passed_over(lan, args);
    return exit_code::timed_out;
  }
  if (all.empty()) {
    say("parley: nobody was found within " + args.timeout.str());
    say_who_was_passed_over(lan, args);
  }
  return exit_code::done;
}

exit_code watch(parley::peers& lan, const output& out, const peers_args& args) {
  for (std::uint64_t count = 0; !args.count || count < *args.count; ++count) {
    const auto event = lan.receive_for(args.timeout.get());
    if (!event) {
      say("parley: nothing happened within " + args.timeout.str());
      return exit_code::timed_out;
    }
    print(out, *event);
  }
  return exit_code::done;
}

exit_code peers(runtime& run, peers_args args) {
  use_utf8();
  run.watch_stdout();
  if (args.watch && !args.count) {
    run.set_endless();
  }
  if (!args.watch) {
    args.timeout.set_usual(usual_look_seconds);
  }
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.network.has_keys());
  auto options = args.network.get();
  options.name = args.name;
  parley::peers lan{run.context(), options};
  say_gossip(lan.gossip());
  const runtime::goodbye leaving{run, [&lan] { lan.close(); }};
  return args.watch ? watch(lan, out, args) : look(lan, out, args);
}

}  // namespace

action add_peers(CLI::App& command) {
  auto args = std::make_shared<peers_args>();
  command
      .add_option("--name", args->name, "who looks is seen, too, under this name; otherwise digits")
      ->option_text("NAME");
  args->network.add_to(command, "--port", "--curve-keys");
  args->curve.add_list_to(command);
  command.add_flag("--watch", args->watch, "print what happens, as it happens");
  add_json(command, args->json, "print each peer or event as a JSON object on a line of its own");
  add_count(command, args->count, "end as soon as N peers are here; with --watch, after N events");
  args->timeout.add_to(command, "the longest look (2.5 s), or the longest wait for the next event");
  add_example(command,
              "parley peers                                    # who is here\n"
              "  parley peers --count 1 --timeout 10             # wait for one\n"
              "  parley peers --watch --json");
  return [args](runtime& run) { return peers(run, *args); };
}
