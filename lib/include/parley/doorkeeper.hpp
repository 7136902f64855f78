// SPDX-License-Identifier: MPL-2.0
//
// Answers libzmq when it asks which CURVE clients may connect to the servers of a context: those
// that the context's list lets in; everybody if there has never been one; nobody when it is gone.
// Whoever is let in is known by its key from then on: what it says carries it.
//
// One for each context, while somebody holds it: an allow_list, or what wants to know those keys.
// Threads: any; one of its own answers. Source: ZAP, RFC 27.
#pragma once

#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/socket.hpp>

#include <memory>
#include <shared_mutex>
#include <thread>

namespace parley::detail {

// Asked by any thread, by several at once.
class guest_list {
 public:
  virtual ~guest_list() = default;
  // Somebody comes with this key.
  [[nodiscard]] virtual bool lets_in(const curve_key& client) = 0;
  // Whether it would be let in, as of a second ago at most.
  [[nodiscard]] virtual bool holds(const curve_key& key) = 0;
};

class doorkeeper {
 public:
  // The context's, made if nobody holds it yet. Throws error: cannot_bind, where a ZAP handler of
  // the program's own is.
  [[nodiscard]] static std::shared_ptr<doorkeeper> of(context& owner);
  ~doorkeeper();
  doorkeeper(const doorkeeper&) = delete;
  doorkeeper& operator=(const doorkeeper&) = delete;

  // Throws error: cannot_bind when there is another.
  void obey(guest_list& list);
  // Before the list goes; waits while it is asked.
  void obey_nobody() noexcept;

  [[nodiscard]] bool holds(const curve_key& key);

 private:
  explicit doorkeeper(context& owner);
  void answer();
  [[nodiscard]] bool answer_one();
  [[nodiscard]] bool lets_in(const curve_key& client);

  std::shared_mutex mutex_;  // shared while the list is asked, which may take long
  guest_list* list_ = nullptr;
  bool is_open_ = true;
  socket requests_;
  const int stop_fd_;
  std::thread thread_;
};

}  // namespace parley::detail
