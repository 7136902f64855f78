// SPDX-License-Identifier: MPL-2.0
//
// The files that are offered in a chat, and on their way. No I/O, not thread-safe.
#pragma once

#include <parley/peer_event.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

class chat_files {
 public:
  struct entry {
    parley::peer_id peer;
    std::string label{};  // of the person
    parley::peer_file file{};
    bool is_open = true;     // an offer that nobody has answered
    std::uint64_t told = 0;  // of it, in quarters
  };

  entry& add(std::uint64_t number, entry made);
  [[nodiscard]] entry* find(std::uint64_t number);
  void remove(std::uint64_t number) { all_.erase(number); }
  [[nodiscard]] const std::map<std::uint64_t, entry>& all() const noexcept { return all_; }

  // Which one somebody means who types that, of others' offers alone or of all: its number, or
  // nothing where there is one only. Nothing: in `mistake` it is said why.
  [[nodiscard]] std::optional<std::uint64_t> meant(std::string_view typed, bool is_offer,
                                                   std::string& mistake) const;
  // Some are under way, or ours wait for an answer.
  [[nodiscard]] bool is_busy() const;
  // Which: "cat.jpg to bob".
  [[nodiscard]] std::string awaited() const;
  // Another number whenever one of them has moved.
  [[nodiscard]] std::uint64_t moves() const;
  // How far they are, in one line. Empty: none is under way.
  [[nodiscard]] std::string status() const;

 private:
  std::map<std::uint64_t, entry> all_;
};

// "1.2 MB"
[[nodiscard]] std::string size_text(std::uint64_t bytes);
// Whole ones; rounded down.
[[nodiscard]] std::uint64_t percent(const parley::peer_file& file);
