// SPDX-License-Identifier: MPL-2.0
//
// What a command prints: data on stdout, each line written at once; everything else on stderr.
#pragma once

#include <parley/endpoint.hpp>
#include <parley/message.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace parley {
struct feed_event;
struct publication;
}  // namespace parley

// Keeps the order of its fields.
using json_object = nlohmann::ordered_json;

// Nobody reads our stdout any more: the command is over, quietly.
struct output_closed : std::runtime_error {
  output_closed() : std::runtime_error{"stdout was closed"} {}
};

class output {
 public:
  explicit output(bool json) : json_{json} {}

  [[nodiscard]] bool is_json() const noexcept { return json_; }

  // Announced before anything is accepted there.
  void bound(const parley::endpoint& where) const;
  void listening(std::string_view protocol, std::string_view host, unsigned port) const;

  // JSON: {"body": …}, {"frames": […]}; the name ends in _base64 where a value is not UTF-8. Else
  // as_text.
  void message(const parley::message& received) const;
  // JSON: {"topic": …, "body": …, "publisher": …, "sequence": …, "urgent": …}; of a plain publisher
  // without the last three.
  void publication(const parley::publication& received) const;
  // What a subscriber lost, and that it was cut off. JSON on stdout, among the messages; else a
  // sentence on stderr. Nothing of other events.
  void feed_event(const parley::feed_event& event) const;

  // One line on stdout.
  void line(const json_object& object) const;
  void line(std::string text) const;

 private:
  bool json_;
};

// Under name, or in base64 under name_base64 where it is no UTF-8.
void put(json_object& object, const std::string& name, std::string_view value);

// A publisher's or subscriber's id in 16 digits: JSON has no room for it as a number.
[[nodiscard]] std::string id_text(std::uint64_t id);

// The frames as they are, separated by tabs.
[[nodiscard]] std::string as_text(const parley::message& received);

// A sentence for people, on stderr.
void say(std::string_view sentence);
