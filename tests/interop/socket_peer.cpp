// SPDX-License-Identifier: MPL-2.0
//
// One socket of ours, moved by a foreign program's test: KIND bind|connect ENDPOINT, then one of
// nothing, --batch, --server KEYS [ALLOWED], or --client SERVER_KEYS OWN_KEYS. Each line of stdin
// is a word and what belongs to it; each answer is a line of stdout. Frames are in hex, "-" is an
// empty one.
#include <parley/allow_list.hpp>
#include <parley/curve.hpp>
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr std::chrono::seconds patience{20};

parley::socket_kind kind_of(const std::string& name) {
  for (int number = 0; number <= static_cast<int>(parley::socket_kind::stream); ++number) {
    const auto kind = static_cast<parley::socket_kind>(number);
    if (parley::to_string(kind) == name) {
      return kind;
    }
  }
  throw parley::config_error{"no such kind: " + name};
}

unsigned char digit(char hex) {
  return static_cast<unsigned char>(hex <= '9' ? hex - '0' : hex - 'a' + 10);
}

parley::frame from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t at = 0; hex != "-" && at < hex.size(); at += 2) {
    bytes += static_cast<char>(digit(hex[at]) << 4 | digit(hex[at + 1]));
  }
  return parley::frame{bytes};
}

std::string to_hex(const parley::message& received) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string line;
  for (const parley::frame& each : received) {
    line += line.empty() ? "" : " ";
    for (const char byte : each.view()) {
      line += digits[static_cast<unsigned char>(byte) >> 4];
      line += digits[static_cast<unsigned char>(byte) & 15];
    }
    line += each.empty() ? "-" : "";
  }
  return line;
}

void obey(const std::string& line, parley::socket& own, std::optional<parley::monitor>& watch) {
  std::istringstream words{line};
  std::string word;
  words >> word;
  if (word == "send") {
    parley::message outgoing;
    for (std::string hex; words >> hex;) {
      outgoing.push_back(from_hex(hex));
    }
    std::cout << (own.send_for(std::move(outgoing), patience) ? "sent" : "refused") << std::endl;
  } else if (word == "count") {  // sends the numbers below, and says how many batches have left
    int limit = 0;
    words >> limit;
    for (int number = 0; number < limit; ++number) {
      own.send(parley::message{std::to_string(number)});
    }
    std::cout << own.statistics().batches_sent << std::endl;
  } else if (word == "receive") {
    const auto received = own.receive_for(patience);
    std::cout << (received ? to_hex(*received) : "nothing") << std::endl;
  } else if (word == "subscribe") {
    std::string prefix;
    words >> prefix;
    own.subscribe(prefix);
    std::cout << "done" << std::endl;
  } else {  // the reason of the next event of that name, _ for a space
    for (;;) {
      const auto event = watch.value().receive_for(patience);
      if (!event) {
        throw parley::timed_out{"event " + word};
      }
      std::string name{to_string(event->change)};
      if (name == "handshake failed") {
        name = "handshake_failed";
      }
      if (name == word) {
        std::cout << event->reason << std::endl;
        return;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words{argv + 1, argv + argc};
  try {
    parley::context context;
    parley::socket_options options;
    options.reconnect = std::chrono::milliseconds{10};
    std::optional<parley::allow_list> allowed;
    if (words.size() > 3 && words[3] == "--batch") {
      options.batch.bytes = 8192;
    } else if (words.size() > 3 && words[3] == "--server") {
      options.curve = parley::read_curve_keys(words.at(4));
      if (words.size() > 5) {
        allowed.emplace(context, std::filesystem::path{words[5]});
      }
    } else if (words.size() > 3) {
      options.curve = {parley::read_public_key(words.at(4)), parley::read_curve_keys(words.at(5))};
    }
    parley::socket own{context, kind_of(words.at(0)), options};
    std::optional<parley::monitor> watch;
    if (options.batch.bytes == 0) {  // a socket that is watched does not batch
      watch.emplace(context, own);
    }
    if (words.at(1) == "bind") {
      std::cerr << "bound " << own.bind(words.at(2)).str() << std::endl;
    } else {
      own.connect(words.at(2));
    }
    for (std::string line; std::getline(std::cin, line);) {
      obey(line, own, watch);
    }
  } catch (const std::exception& failure) {
    std::cerr << failure.what() << std::endl;
    return 1;
  }
}
