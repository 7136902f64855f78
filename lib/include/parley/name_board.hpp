// SPDX-License-Identifier: MPL-2.0
//
// Where the patterns of a context and those who look on the network meet: what is announced here,
// what was found there, and who follows a name. One for each context.
//
// Threads: any. What is told is told inside the call that causes it, one at a time, under the
// board's lock, which who is told may take again.
#pragma once

#include <parley/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace parley::detail {

class name_board : public std::enable_shared_from_this<name_board> {
 public:
  // Ends with it what it was given for; waits while somebody is told.
  class entry {
   public:
    entry() = default;
    ~entry() { drop(); }
    entry(entry&& other) noexcept : board_{std::move(other.board_)}, number_{other.number_} {}
    entry& operator=(entry&& other) noexcept {
      if (this != &other) {
        drop();
        board_ = std::move(other.board_);
        number_ = other.number_;
      }
      return *this;
    }

   private:
    friend class name_board;
    entry(std::shared_ptr<name_board> board, std::uint64_t number) noexcept
        : board_{std::move(board)}, number_{number} {}
    void drop() noexcept;

    std::shared_ptr<name_board> board_;
    std::uint64_t number_ = 0;
  };
  using told = std::function<void(const endpoint& where, bool is_there)>;
  using announced = std::function<void(const std::string& name, const endpoint& where, bool is)>;

  // A bound endpoint of this process. Requires: tcp, and not port 0.
  [[nodiscard]] entry announce(const std::string& name, const endpoint& bound);
  // Hears of all who offer that name, now and later, each once. Throws config_error: nobody looks.
  [[nodiscard]] entry follow(const std::string& name, told hears);
  // Hears of what is announced here, now and later.
  [[nodiscard]] entry look_out(announced hears);

  // By who looks; the same may be found several times, and is lost when it was lost as often.
  void found(const std::string& name, const endpoint& where);
  void lost(const std::string& name, const endpoint& where);
  [[nodiscard]] std::vector<endpoint> all(const std::string& name) const;

 private:
  struct announcement {
    std::string name;
    endpoint where;
  };
  struct following {
    std::string name;
    told hears;
  };
  void drop(std::uint64_t number) noexcept;
  void add(const std::string& name, const endpoint& where);
  void take(const std::string& name, const endpoint& where);
  void tell(const std::string& name, const endpoint& where, bool is_there);
  void tell_lookouts(const std::string& name, const endpoint& where, bool is_there);

  mutable std::recursive_mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, announcement> announcements_;
  std::map<std::uint64_t, std::shared_ptr<following>> followings_;
  std::map<std::uint64_t, std::shared_ptr<announced>> lookouts_;
  // By name and endpoint: how often it was found.
  std::map<std::string, std::map<std::string, std::size_t>> there_;
};

}  // namespace parley::detail
