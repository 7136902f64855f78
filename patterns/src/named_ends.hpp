// SPDX-License-Identifier: MPL-2.0
//
// Names in place of addresses, for whatever binds and connects: who binds a name announces a port
// of its own under it, who connects to a name follows all who announce it.
//
// Any thread. To be destroyed, or cleared, before what it connects; not under a lock that
// connecting takes.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/error.hpp>
#include <parley/name_board.hpp>

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace parley::detail {

class named_ends {
 public:
  explicit named_ends(const context& owner) : board_{owner.names()} {}

  template<class Bind>
  endpoint bind(const endpoint& where, Bind&& really) {
    if (where.kind() != transport::service) {
      return really(where);
    }
    endpoint bound = really(endpoint{"tcp://*:0"});
    keep(where.address(), board_->announce(where.address(), bound));
    return bound;
  }

  // Those found by name come and go by whatever thread finds them.
  template<class Connect, class Disconnect>
  void connect(const endpoint& where, Connect really, Disconnect disconnect) {
    if (where.kind() != transport::service) {
      really(where);
      return;
    }
    keep(where.address(),
         board_->follow(where.address(),
                        [really = std::move(really), disconnect = std::move(disconnect)](
                            const endpoint& found, bool is_there) {
                          try {
                            is_there ? really(found) : disconnect(found);
                          } catch (const error&) {
                            // It is closed, or has as many links as it may have: one more is not
                            // needed.
                          }
                        }));
  }

  // Nothing is announced and followed any more.
  void clear() noexcept {
    std::vector<std::pair<std::string, name_board::entry>> gone;
    {
      const std::lock_guard lock{mutex_};
      gone.swap(entries_);
    }
  }
  // And it is disconnected from those who were found.
  template<class Disconnect>
  void disconnect(const endpoint& where, Disconnect&& really) {
    if (where.kind() != transport::service) {
      really(where);
      return;
    }
    std::vector<std::pair<std::string, name_board::entry>> gone;
    {
      const std::lock_guard lock{mutex_};
      const auto first = std::partition(entries_.begin(), entries_.end(), [&](const auto& each) {
        return each.first != where.address();
      });
      std::move(first, entries_.end(), std::back_inserter(gone));
      entries_.erase(first, entries_.end());
    }
    gone.clear();
    for (const endpoint& each : board_->all(where.address())) {
      really(each);
    }
  }

 private:
  void keep(const std::string& name, name_board::entry&& made) {
    const std::lock_guard lock{mutex_};
    entries_.emplace_back(name, std::move(made));
  }

  const std::shared_ptr<name_board> board_;
  std::mutex mutex_;
  std::vector<std::pair<std::string, name_board::entry>> entries_;
};

}  // namespace parley::detail
