// SPDX-License-Identifier: MPL-2.0
//
// A node for tests in other languages: peers_node [--keys FILE] [--allow FILE] NAME PORT [EVASIVE
// EXPIRED [INTERFACE...]], times in milliseconds. Says each event in a line, and obeys lines:
// whisper NAME TEXT, shout GROUP TEXT, join GROUP, leave GROUP, count NAME NUMBER (that many
// whispers, 0, 1, ...), status, quit.
#include <parley/allow_list.hpp>
#include <parley/peers.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

using namespace parley;
using kind = peer_event::kind;

namespace {

std::mutex printing;

void print(const std::string& line) {
  const std::lock_guard lock{printing};
  std::cout << line << std::endl;
}

void print(const peer_event& event) {
  std::ostringstream line;
  line << to_string(event.what) << ' ' << event.name;
  switch (event.what) {
    case kind::enter:
      line << ' ' << event.address;
      for (const auto& [name, value] : event.headers) {
        line << ' ' << name << '=' << value;
      }
      break;
    case kind::exit:
      line << ' ' << to_string(event.reason);
      break;
    case kind::join:
    case kind::leave:
      line << ' ' << event.group;
      break;
    case kind::shout:
      line << ' ' << event.group << ' ' << event.content.front().view();
      break;
    case kind::whisper:
      line << ' ' << event.content.front().view();
      break;
    case kind::lost:
      line << ' ' << event.count;
      break;
    default:
      break;
  }
  print(line.str());
}

void print_status(const peers& node) {
  for (const peer_status& each : node.here()) {
    print("peer " + each.name + ' ' + each.address + (each.is_evasive ? " evasive" : "") +
          (each.key ? " key " + each.key->z85() : ""));
  }
  for (const interface_status& each : node.interfaces()) {
    std::ostringstream line;
    line << "interface " << each.name << ' ' << (each.sent_to.empty() ? "-" : each.sent_to)
         << " sent " << each.sent << " heard " << each.heard << " refused " << each.refused << ' '
         << (each.why_refused ? each.why_refused.message() : "");
    print(line.str());
  }
  const peers_statistics all = node.statistics();
  std::ostringstream line;
  line << "status here " << node.here().size() << " entered " << all.entered << " exited "
       << all.exited << " nonsense " << all.nonsense << " other_version " << all.other_version
       << " not_greeted " << all.not_greeted << " not_allowed " << all.not_allowed;
  print(line.str());
}

// Whoever of that name is here; waits for one.
peer_id find(const peers& node, const std::string& name) {
  for (;;) {
    for (const peer_status& each : node.here()) {
      if (each.name == name) {
        return each.id;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});  // nobody tells
  }
}

void whisper(peers& node, const std::string& name, const std::string& text) {
  if (!node.whisper(find(node, name), text)) {
    print("not taken " + text);
  }
}

}  // namespace

int main(int count, char** arguments) {
  peers_options options;
  std::optional<std::filesystem::path> allowed;
  for (; count > 3 && std::string_view{arguments[1]}.starts_with("--");
       count -= 2, arguments += 2) {
    if (std::string_view{arguments[1]} == "--keys") {
      options.curve = read_curve_keys(arguments[2]);
    } else {
      allowed = arguments[2];
    }
  }
  if (count < 3) {
    std::cerr << "usage: peers_node [--keys FILE] [--allow FILE] NAME PORT [EVASIVE EXPIRED "
                 "[INTERFACE...]]\n";
    return 1;
  }
  options.name = arguments[1];
  options.port = static_cast<std::uint16_t>(std::atoi(arguments[2]));
  options.interval = std::chrono::milliseconds{200};
  options.limit = 200'000;
  if (count > 4) {
    options.evasive = std::chrono::milliseconds{std::atoi(arguments[3])};
    options.expired = std::chrono::milliseconds{std::atoi(arguments[4])};
  }
  for (int index = 5; index < count; ++index) {
    options.interfaces.emplace_back(arguments[index]);
  }
  context owner;
  std::optional<allow_list> friends;
  if (allowed) {
    friends.emplace(owner, *allowed);
  }
  peers node{owner, options};
  const std::jthread reader{[&](const std::stop_token& stop) {
    node.run([](const peer_event& event) { print(event); }, stop);
  }};
  print("ready " + node.id().str());
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words{line};
    std::string word;
    std::string whom;
    std::string rest;
    words >> word >> whom >> std::ws;
    std::getline(words, rest);
    if (word == "whisper") {
      whisper(node, whom, rest);
    } else if (word == "count") {
      for (int number = 0; number < std::atoi(rest.c_str()); ++number) {
        whisper(node, whom, std::to_string(number));
      }
    } else if (word == "shout") {
      node.shout(whom, rest);
    } else if (word == "join") {
      node.join(whom);
    } else if (word == "leave") {
      node.leave(whom);
    } else if (word == "status") {
      print_status(node);
    } else {
      break;
    }
  }
}
