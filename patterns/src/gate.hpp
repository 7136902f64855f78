// SPDX-License-Identifier: MPL-2.0
//
// Shut until it is opened, once, for all who wait at it.
//
// Who waits lets others have the processor some times before it sleeps: of many threads on few
// cores most find the gate open when it is their turn again, and need not be woken, which takes
// longer than a turn. As std::atomic's wait, which gives up sooner.
#pragma once

#include <atomic>

namespace parley::detail {

class gate {
 public:
  gate() noexcept = default;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  // What was done before is seen by who passes. Who opens must keep the gate until open returns.
  void open() noexcept;
  // Any number of threads.
  void wait() const noexcept;

 private:
  static constexpr int most_turns = 16;

  std::atomic<int> is_open_{0};  // an int for the kernel
};

}  // namespace parley::detail
