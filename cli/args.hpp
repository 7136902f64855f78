// SPDX-License-Identifier: MPL-2.0
//
// The words that several commands share on their command lines.
#pragma once

#include "runtime.hpp"

#include <parley/endpoint.hpp>
#include <parley/peers.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

enum class side { bind, connect };

// Where a command takes part: an endpoint, with "bind:" or "connect:" before it where the side is
// not the usual one of its pattern.
struct place {
  side how;
  parley::endpoint where;

  // Throws parley::error{errc::invalid_endpoint}.
  [[nodiscard]] static place parse(std::string_view text, side usual);
};

// Where peers are looked for.
class network_arg {
 public:
  // port, keys: what its options are called; --port and --curve-keys where there are no others.
  void add_to(CLI::App& command, const std::string& port = "--beacon-port",
              const std::string& keys = "--beacon-keys");
  // Throws config_error, and parley::error{errc::invalid_endpoint}.
  [[nodiscard]] parley::peers_options get() const;
  [[nodiscard]] bool has_keys() const noexcept { return !keys_.empty(); }

 private:
  std::vector<std::string> interfaces_;
  std::uint16_t port_ = parley::zre_port;
  std::string keys_;
  std::vector<std::string> seeds_;
  std::optional<std::string> gossip_;
};

// On stderr, where others may now ask whom we know; nothing: nowhere.
void say_gossip(const std::optional<parley::endpoint>& bound);

class places_arg {
 public:
  // Adds ENDPOINT and --also ENDPOINT.
  void add_to(CLI::App& command, side usual);

  // If one is a name, run looks for names from now on.
  [[nodiscard]] std::vector<place> parse(runtime& run) const;
  // Of the network that names are looked for on.
  [[nodiscard]] bool has_keys() const noexcept { return network_.has_keys(); }
  [[nodiscard]] std::string str() const;

 private:
  network_arg network_;
  side usual_ = side::connect;
  std::string first_;
  std::vector<std::string> others_;
};

// Of calls, requests, and commands that answer them.
inline constexpr double usual_timeout_seconds = 5;

class timeout_arg {
 public:
  using duration = std::chrono::steady_clock::duration;

  // meaning: "the longest wait for …".
  void add_to(CLI::App& command, const std::string& meaning, std::optional<double> usual = {});
  // Another one than --timeout.
  CLI::Option* add_to(CLI::App& command, const std::string& name, const std::string& meaning,
                      std::optional<double> usual);

  // Where none was given.
  void set_usual(double seconds) { seconds_ = seconds_.value_or(seconds); }
  // duration::max() without a timeout.
  [[nodiscard]] duration get() const;
  // For linger times: as long as libzmq can wait, without a timeout.
  [[nodiscard]] std::chrono::milliseconds as_linger() const;
  // "2.5 s"
  [[nodiscard]] std::string str() const;

 private:
  std::optional<double> seconds_;
};

// Any number of words, up to most, taken exactly as they stand: CLI11's own vectors read [a,b] as
// two words and {} as none.
CLI::Option* add_words(CLI::App& command, const std::string& name, std::vector<std::string>& words,
                       const std::string& meaning,
                       int most = CLI::detail::expected_max_vector_size);

using count_arg = std::optional<std::uint64_t>;

void add_count(CLI::App& command, count_arg& count, const std::string& meaning);
void add_json(CLI::App& command, bool& json, const std::string& meaning);
// peer: the kind of the plain socket at the other end.
void add_plain(CLI::App& command, bool& plain, const std::string& peer);
void add_example(CLI::App& command, const std::string& example);

// Binds or connects a pattern object or socket everywhere; announce(endpoint) for each bind.
template<class Object, class Announce>
void take_places(Object& object, const std::vector<place>& places, Announce announce) {
  for (const place& each : places) {
    if (each.how == side::bind) {
      announce(object.bind(each.where));
    } else {
      object.connect(each.where);
    }
  }
}

// The same of a source or worker, for plain sockets if so asked.
template<class Object, class Announce>
void take_places(Object& object, const std::vector<place>& places, bool plain, Announce announce) {
  if (!plain) {
    return take_places(object, places, announce);
  }
  for (const place& each : places) {
    if (each.how == side::bind) {
      announce(object.bind_plain(each.where));
    } else {
      object.connect_plain(each.where);
    }
  }
}
