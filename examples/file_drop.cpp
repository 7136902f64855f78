// SPDX-License-Identifier: MPL-2.0
//
// A drop box on the network: what others send goes into a directory, and each file named is sent to
// everybody who comes.
//
// Run it twice: build/dev/examples/example_file_drop here
//               build/dev/examples/example_file_drop there README.md LICENSE
// Kill either in the middle of a large file and start it again: it goes on where it was. Ends with
// Ctrl-C. `--on PORT INTERFACE` in front: another network, and only there.
#include <parley/error.hpp>
#include <parley/peers.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

namespace {

using parley::peer_event;

void say(const std::string& line) { std::cout << line << std::endl; }

std::string percent(const parley::peer_file& file) {
  return std::to_string(file.size == 0 ? 100 : file.done * 100 / file.size) + " %";
}

// Under another name where there is one of that name.
void take(parley::peers& lan, const peer_event& offer, const std::filesystem::path& directory) {
  std::filesystem::path to = directory / offer.file.name;
  for (int count = 2; std::filesystem::exists(to); ++count) {
    to = directory / (std::to_string(count) + " " + offer.file.name);
  }
  try {
    static_cast<void>(lan.accept_file(offer.number, to));
  } catch (const parley::error& refused) {
    say(std::string{"not taken: "} + refused.what());
    lan.cancel_file(offer.number);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> words{argv + 1, argv + argc};
  parley::peers_options options;
  if (words.size() > 3 && words[0] == "--on") {
    options.port = static_cast<std::uint16_t>(std::stoi(words[1]));
    options.interfaces = {words[2]};
    words.erase(words.begin(), words.begin() + 3);
  }
  if (words.empty()) {
    std::cerr << "usage: example_file_drop [--on PORT INTERFACE] DIRECTORY [FILE...]\n";
    return 1;
  }
  const std::filesystem::path directory = words[0];
  std::filesystem::create_directories(directory);

  parley::context context;
  parley::peers lan{context, options};
  std::set<parley::peer_id> here;
  lan.run([&](const peer_event& event) {
    const std::string& name = event.file.name;
    switch (event.what) {
      case peer_event::kind::exit:
        here.erase(event.peer);
        break;
      case peer_event::kind::enter:
        here.insert(event.peer);
        for (std::size_t each = 1; each < words.size(); ++each) {
          lan.send_file(event.peer, words[each]);
        }
        break;
      case peer_event::kind::file_offered:
        say(name + ": " + std::to_string(event.file.size) + " bytes are coming");
        take(lan, event, directory);
        break;
      case peer_event::kind::file_progress:
        say(name + ": " + percent(event.file));
        break;
      case peer_event::kind::file_done:
        say(name + (event.file.is_ours ? " was taken" : " is here") +
            (event.file.from > 0 ? ", the rest of it" : ""));
        break;
      case peer_event::kind::file_failed:
        say(name + ": " + std::string{to_string(event.file.why)});
        if (event.file.is_ours && event.file.why == parley::file_failure::peer_gone &&
            here.contains(event.peer)) {
          lan.send_file(event.peer, event.file.path);  // only the other one saw the link break
        }
        break;
      default:
        break;
    }
  });
} catch (const std::exception& failure) {
  std::cerr << "file_drop: " << failure.what() << '\n';
  return 1;
}
