// SPDX-License-Identifier: MPL-2.0
//
// A chat on its network: what is heard goes to the desk, what the desk says is done, kept and
// shown. One thread.
#pragma once

#include "chat/chat_desk.hpp"
#include "chat/chat_history.hpp"
#include "chat/chat_view.hpp"
#include "output.hpp"

#include <parley/context.hpp>
#include <parley/peers.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

// Where files go that others send, and whether they do so unasked.
struct chat_downloads {
  std::filesystem::path directory{};
  bool accepts_all = false;
};

class chat_session {
 public:
  using time_point = chat_desk::time_point;

  // The name is that of the options.
  chat_session(parley::context& in, parley::peers_options options, chat_view view, bool json,
               chat_downloads downloads);

  // Where lines go; until then they go to stdout.
  void show_at(std::function<void(const std::vector<std::string>&)> show) {
    show_ = std::move(show);
  }
  // Where it stands how far files are; empty: none is under way. Until then nowhere.
  void show_status_at(std::function<void(const std::string&)> show) {
    show_status_ = std::move(show);
  }
  // writes: to people who are away, too; the options have its identity and the file for it.
  void keep_in(std::unique_ptr<chat_history> history, bool writes);
  // Shows what was said there last.
  void look_back(const std::string& room);
  void begin(const std::string& room);

  // Readable: hear may have something. fd of the peers: see there.
  [[nodiscard]] int fd() const noexcept { return peers_.fd(); }
  // What is there. Returns when to call it again: at once, if it heard anything.
  time_point hear();
  void type(std::string_view line);
  void tell(chat_event event);

  // Where it is a seed for others; none: it is not.
  [[nodiscard]] std::optional<parley::endpoint> gossip() const { return peers_.gossip(); }
  [[nodiscard]] const chat_desk& desk() const noexcept { return desk_; }
  // Others, in the room that it began in; some may have left again.
  [[nodiscard]] std::size_t count_came() const noexcept { return came_.size(); }
  [[nodiscard]] std::uint64_t lines_heard() const noexcept { return lines_heard_; }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

 private:
  void carry_out();
  void show(const std::vector<chat_event>& events);
  void keep(const chat_event& event);
  void take(chat_step&& step);
  void write_letter(const chat_step& step);
  void tell_receipt(const parley::peer_event& receipt);
  void remember(const chat_step& met);
  void send_file(const chat_step& step);
  void accept_file(const chat_step& step);
  [[nodiscard]] std::filesystem::path free_path(const std::string& name) const;
  void recall(const std::string& what);
  void lose_history(const parley::error& why);

  parley::peers peers_;
  chat_desk desk_;
  chat_view view_;
  chat_downloads downloads_;
  output out_;
  std::function<void(const std::vector<std::string>&)> show_;
  std::function<void(const std::string&)> show_status_;
  std::string status_{};
  std::unique_ptr<chat_history> history_;  // none: nothing is kept
  std::string first_room_;
  std::set<parley::peer_id> came_;  // so many as anybody waits for
  std::uint64_t lines_heard_ = 0;
  bool is_over_ = false;
};
