// SPDX-License-Identifier: MPL-2.0
//
// A message that the gateway keeps: in a queue, in a transaction, on its way to many subscribers.
//
// It is immutable and holds the part of its MESSAGE frame that is the same for all who get it
// (destination, the sender's headers, content-length, body, NUL), already in the form of 1.2. Where
// no escape occurs, which is nearly always, that form is right for every version: delivering it
// costs one copy into the subscriber's output.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "stomp/frame.hpp"

namespace parley::stomp {

class message;
using message_ptr = std::shared_ptr<const message>;

class message {
  struct only_here {
    explicit only_here() = default;
  };

 public:
  explicit message(only_here) {}

  // From a SEND frame; its `reply-to`, when there is one, is replaced by `reply_to`.
  // Requires: the frame has a destination.
  static message_ptr from_send(const frame& send, std::string_view reply_to = {});

  // From elsewhere: `headers` are written as they are given, destination and length are added.
  static message_ptr make(std::string_view destination, const std::vector<header>& headers,
                          std::string_view body);

  // The same for another destination.
  [[nodiscard]] message_ptr redirected(std::string_view destination) const;

  [[nodiscard]] const std::string& destination() const noexcept { return destination_; }
  [[nodiscard]] std::string_view body() const noexcept {
    return std::string_view{wire_}.substr(body_at_, wire_.size() - body_at_ - 1);
  }
  [[nodiscard]] bool has_reply_to() const noexcept { return has_reply_to_; }
  // Of the sender's own headers.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;

  // What it takes in memory, about.
  [[nodiscard]] std::size_t size() const noexcept {
    return sizeof(message) + destination_.size() + wire_.size();
  }

  // The rest of a MESSAGE frame, from "destination:" to the NUL.
  void append_to(std::string& out, version form) const;

 private:
  void begin(std::string_view destination, std::size_t room);
  void add(std::string_view name, std::string_view value);
  void finish(std::string_view body);

  std::string destination_;
  std::string wire_;
  std::size_t body_at_ = 0;
  bool has_reply_to_ = false;
  bool escaped_ = false;  // some header holds an escape, so other versions need a form of their own
};

}  // namespace parley::stomp
