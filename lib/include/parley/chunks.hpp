// SPDX-License-Identifier: MPL-2.0
//
// Bodies of any length in messages of bounded size: cut here, joined there, neither end holds more
// than a piece.
//
// No I/O: a cutter gives messages for any socket to send, a joiner takes what any socket received.
// The pieces of one body must reach one receiver, in order: pair, dealer and router, push with one
// pull, publish-subscribe without drops. Pieces of several bodies may be mixed, also from several
// senders. What is missing or out of order is told, never passed over. Wire: docs/wire.md, chunks.
// One thread at a time each.
#pragma once

#include <parley/message.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

inline constexpr std::size_t default_chunk_bytes = std::size_t{256} * 1024;

// Cuts one body. Where it comes from is asked piece by piece, as the messages are.
class chunk_cutter {
 public:
  // The next bytes, as many as convenient; an empty frame when there are no more.
  using source = std::function<frame()>;

  // prefix: frames before each piece, such as a routing id, a topic. The name tells the receiver
  // what the body is; at most 255 bytes.
  chunk_cutter(std::string_view name, source body, message prefix = {});
  // A body that is there already, such as map_file's: the pieces share it, nothing is copied.
  chunk_cutter(std::string_view name, const frame& body, message prefix = {},
               std::size_t chunk_bytes = default_chunk_bytes);

  // The next message; nothing when the last has been given.
  [[nodiscard]] std::optional<message> next();
  // Of the body, in the messages given so far.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return offset_; }

 private:
  [[nodiscard]] message piece(frame bytes, bool is_last);

  const std::string name_;
  const source body_;
  const message prefix_;
  const std::uint64_t id_;
  std::optional<frame> ahead_;  // read already: who reads it knows whether it is the last
  std::uint64_t offset_ = 0;
  bool is_done_ = false;
};

struct chunk {
  enum class state {
    more,     // bytes, and more to come
    last,     // bytes, and the body is whole
    broken,   // a piece before it is missing, so the body ends here; again for each that follows
    refused,  // the first piece of more bodies at once than the limit; broken ones follow
    foreign,  // not a piece of a body: the message is returned in foreign_message
  };
  state is = state::foreign;
  std::uint64_t body = 0;    // tells bodies apart; never used twice; 0 where none was under way
  std::string name;          // as the sender gave it
  std::uint64_t offset = 0;  // of bytes in the body
  frame bytes;
  message prefix;  // as it came: a router's name of the sender, a topic
  message foreign_message;
};

// Sorts pieces into bodies. Holds a few words for each body that is under way, no bytes.
class chunk_joiner {
 public:
  explicit chunk_joiner(std::size_t most_bodies = 1000) : most_bodies_{most_bodies} {}

  [[nodiscard]] chunk take(message&& received);
  // Bodies that have begun and not ended. Whoever knows that a sender is gone may forget its.
  [[nodiscard]] std::size_t under_way() const noexcept { return open_.size(); }
  void forget(std::uint64_t body);

 private:
  struct open_body {
    std::uint64_t number;
    std::uint64_t offset;  // where the next piece must begin
  };

  const std::size_t most_bodies_;
  std::map<std::string, open_body> open_;  // by prefix and the sender's id
  std::uint64_t last_number_ = 0;
};

}  // namespace parley
