// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"

#include "output.hpp"

#include <algorithm>
#include <limits>
#include <sstream>

namespace {

constexpr std::string_view bind_word = "bind:";
constexpr std::string_view connect_word = "connect:";

// A year: more than any script waits, and far from overflowing the clock.
constexpr double longest_wait_seconds = 365.0 * 24 * 3600;

}  // namespace

place place::parse(std::string_view text, side usual) {
  if (text.substr(0, bind_word.size()) == bind_word) {
    return {side::bind, text.substr(bind_word.size())};
  }
  if (text.substr(0, connect_word.size()) == connect_word) {
    return {side::connect, text.substr(connect_word.size())};
  }
  return {usual, text};
}

void network_arg::add_to(CLI::App& command, const std::string& port, const std::string& keys) {
  command
      .add_option("--interface", interfaces_,
                  "where to look for peers and services, by name or address; may be repeated; "
                  "default: everywhere")
      ->option_text("NAME")
      ->allow_extra_args(false);
  command.add_option(port, port_, "the UDP port of their beacons; 0: without beacons")
      ->option_text("PORT [" + std::to_string(parley::zre_port) + "]")
      ->check(CLI::Range(0, 65535));
  command
      .add_option(keys, keys_,
                  "meet those only who have keys too, and talk encrypted; ours are in this file of "
                  "'parley keygen NAME'")
      ->option_text("NAME");
  command
      .add_option("--seed", seeds_,
                  "a peer that is a seed, tcp://HOST:PORT, where beacons do not reach; with our "
                  "keys, its public key's file behind it, =NAME; may be repeated")
      ->option_text("ENDPOINT")
      ->allow_extra_args(false);
  command.add_option("--gossip", gossip_, "be a seed for others, here: tcp://*:PORT")
      ->option_text("ENDPOINT");
}

parley::peers_options network_arg::get() const {
  parley::peers_options made{.port = port_, .interfaces = interfaces_};
  for (const std::string& each : seeds_) {
    const auto key_at = each.find('=');  // no character of an endpoint
    parley::peer_seed seed{each.substr(0, key_at)};
    if (key_at != std::string::npos) {
      seed.key = parley::read_public_key(each.substr(key_at + 1));
    }
    made.seeds.push_back(std::move(seed));
  }
  if (gossip_) {
    made.gossip.emplace(*gossip_);
  }
  if (has_keys()) {
    made.curve = parley::read_curve_keys(keys_);
  }
  return made;
}

void say_gossip(const std::optional<parley::endpoint>& bound) {
  if (bound) {
    say("seed " + bound->str());
  }
}

void places_arg::add_to(CLI::App& command, side usual) {
  usual_ = usual;
  const std::string sides = usual == side::bind ? "is bound; connect: before it connects instead"
                                                : "is connected to; bind: before it binds instead";
  command.add_option("ENDPOINT", first_, "tcp://HOST:PORT, ipc:///PATH or service:NAME; " + sides)
      ->required()
      ->option_text(" ");
  command.add_option("--also", others_, "one more ENDPOINT; may be repeated")
      ->option_text("ENDPOINT")
      ->allow_extra_args(false);
  network_.add_to(command);
}

std::vector<place> places_arg::parse(runtime& run) const {
  std::vector<place> places{place::parse(first_, usual_)};
  for (const std::string& other : others_) {
    places.push_back(place::parse(other, usual_));
  }
  if (std::ranges::any_of(places, [](const place& each) {
        return each.where.kind() == parley::transport::service;
      })) {
    say_gossip(run.look_for_names(network_.get()));
  }
  return places;
}

std::string places_arg::str() const {
  std::string text = first_;
  for (const std::string& other : others_) {
    text += ", " + other;
  }
  return text;
}

void timeout_arg::add_to(CLI::App& command, const std::string& meaning,
                         std::optional<double> usual) {
  add_to(command, "--timeout", meaning + "; then exit with 2", usual);
}

CLI::Option* timeout_arg::add_to(CLI::App& command, const std::string& name,
                                 const std::string& meaning, std::optional<double> usual) {
  seconds_ = usual;
  return command.add_option(name, seconds_, meaning)
      ->option_text(usual ? "SECONDS [5]" : "SECONDS")
      ->check(CLI::Range(0.0, longest_wait_seconds, "a number of seconds"));
}

timeout_arg::duration timeout_arg::get() const {
  return seconds_ ? std::chrono::duration_cast<duration>(std::chrono::duration<double>{*seconds_})
                  : duration::max();
}

std::chrono::milliseconds timeout_arg::as_linger() const {
  constexpr std::chrono::milliseconds longest{std::numeric_limits<int>::max()};
  return std::min(std::chrono::duration_cast<std::chrono::milliseconds>(get()), longest);
}

std::string timeout_arg::str() const {
  std::ostringstream text;
  text << seconds_.value_or(0) << " s";
  return text.str();
}

CLI::Option* add_words(CLI::App& command, const std::string& name, std::vector<std::string>& words,
                       const std::string& meaning, int most) {
  const auto take = [&words](const CLI::results_t& given) {
    words = given;
    return true;
  };
  // A "least" of as many, and TakeAll, which does not look at it: the one way in which CLI11 takes
  // positional words without splitting what stands in brackets.
  return command.add_option(name, take, meaning)
      ->expected(most, most)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->option_text(" ");
}

void add_count(CLI::App& command, count_arg& count, const std::string& meaning) {
  command.add_option("--count", count, meaning)->option_text("N")->check(CLI::PositiveNumber);
}

void add_plain(CLI::App& command, bool& plain, const std::string& peer) {
  command.add_flag("--plain", plain,
                   "for plain ZeroMQ " + peer + " sockets, which acknowledge nothing");
}

void add_json(CLI::App& command, bool& json, const std::string& meaning) {
  command.add_flag("--json", json, meaning);
}

void add_example(CLI::App& command, const std::string& example) {
  command.footer("Example:\n  " + example +
                 "\n\nExit codes: 0 done, 1 usage, 2 timed out, 3 cannot bind or connect,\n"
                 "4 the peer answered with an error, or tasks failed, 5 no server, 6 server lost,\n"
                 "7 server overloaded, 130 or 143 interrupted before it was done.");
}
