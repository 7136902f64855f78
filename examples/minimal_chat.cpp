// SPDX-License-Identifier: MPL-2.0
//
// A chat without a server: what is typed here is seen by everybody in the room, and the reverse.
//
// Run it twice: build/dev/examples/example_minimal_chat ann
//               build/dev/examples/example_minimal_chat bob
// What `parley chat` and the chats of zyre and pyre say is seen too. Ends with its input.
#include <parley/peers.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>

namespace {

// Others send what they like; a terminal would act upon some of it.
std::string harmless(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char each) { return each < ' ' || each == 127; }, '?');
  return text;
}

void show(const parley::peer_event& event) {
  using kind = parley::peer_event::kind;
  const std::string who = harmless(event.name);
  if (event.what == kind::join) {
    std::cout << who << " entered\n" << std::flush;
  } else if (event.what == kind::exit) {
    std::cout << who << " is gone: " << to_string(event.reason) << '\n' << std::flush;
  } else if (event.what == kind::shout || event.what == kind::whisper) {
    std::cout << who << ": " << harmless(event.content.front().str()) << '\n' << std::flush;
  } else if (event.what == kind::muted_by) {
    std::cout << who << " does not hear you: you said too much\n" << std::flush;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string room = "lobby";
  parley::peers_options options;
  options.name = argc > 1 ? argv[1] : "somebody";
  if (argc > 3) {  // another network, and only there
    options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
    options.interfaces = {argv[3]};
  }
  parley::context context;
  parley::peers lan{context, options};
  lan.join(room);
  const std::jthread listener{[&](const std::stop_token& stop) { lan.run(show, stop); }};
  for (std::string line; std::getline(std::cin, line);) {
    lan.shout(room, line);
  }
}
