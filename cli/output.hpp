// SPDX-License-Identifier: MPL-2.0
//
// What a command prints: data on stdout, each line written at once; everything else on stderr.
#pragma once

#include <parley/endpoint.hpp>
#include <parley/message.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

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

  // JSON: {"body": …}, {"topic": …, "body": …}, {"frames": […]}; the name ends in _base64 where a
  // value is not UTF-8. Else as_text.
  void message(const parley::message& received) const;
  void publication(const parley::frame& topic, const parley::frame& body) const;

  // One line on stdout.
  void line(const json_object& object) const;
  void line(std::string text) const;

 private:
  bool json_;
};

// The frames as they are, separated by tabs.
[[nodiscard]] std::string as_text(const parley::message& received);

// A sentence for people, on stderr.
void say(std::string_view sentence);
