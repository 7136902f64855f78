// SPDX-License-Identifier: MPL-2.0
//
// Remembers in which process an object was made, for those that a fork() cannot take along: the
// child has a copy of their memory, but not their threads, and their locks may be held for ever.
//
// In the child such an object may neither be used (check throws forked) nor destroyed (home_ptr
// leaves it as it is). Any thread. Noticed by way of pthread_atfork.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace parley::detail {

// Of this process and its forebears. Changed in a child that has but one thread, before fork()
// returns there; relaxed is enough.
extern std::atomic<unsigned> forks_so_far;

class home_process {
 public:
  [[nodiscard]] bool is_here() const noexcept {
    return forks_ == forks_so_far.load(std::memory_order_relaxed);
  }
  // Throws error: forked. What: "use a socket".
  void check(const char* what) const {
    if (!is_here()) [[unlikely]] {
      fail(what);
    }
  }

 private:
  [[noreturn]] static void fail(const char* what);

  unsigned forks_ = forks_so_far.load(std::memory_order_relaxed);
};

class home_delete {
 public:
  template<class T>
  void operator()(T* made) const noexcept {
    if (home_.is_here()) {
      delete made;
    }
  }
  [[nodiscard]] const home_process& home() const noexcept { return home_; }

 private:
  home_process home_;
};

// The owner of an object that is made together with it.
template<class T>
class home_ptr {
 public:
  explicit home_ptr(T* made) noexcept : made_{made} {}

  // Throws error: forked.
  T* operator->() const {
    made_.get_deleter().home().check("use an object");
    return made_.get();
  }
  [[nodiscard]] T* get() const noexcept { return made_.get(); }
  [[nodiscard]] bool is_here() const noexcept { return made_.get_deleter().home().is_here(); }

 private:
  std::unique_ptr<T, home_delete> made_;
};

}  // namespace parley::detail
