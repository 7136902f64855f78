// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/home_process.hpp>

#include <pthread.h>

namespace parley::detail {
namespace {

void count_fork() noexcept { forks_so_far.fetch_add(1, std::memory_order_relaxed); }

[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, count_fork);

}  // namespace

constinit std::atomic<unsigned> forks_so_far{0};

void home_process::fail(const char* what) { throw error{errc::forked, what}; }

}  // namespace parley::detail
