// SPDX-License-Identifier: MPL-2.0
#include <parley/body_pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define PARLEY_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PARLEY_ADDRESS_SANITIZER
#endif
#endif

namespace parley::detail {
namespace {

// The address sanitizer finds the use of a body that is gone only if the allocator gets it back.
#ifdef PARLEY_ADDRESS_SANITIZER
constexpr bool recycles = false;
#else
constexpr bool recycles = true;
#endif

// Two a doubling: 128, 192, 256, 384 ... bytes, the head of the block included.
constexpr std::size_t smallest = 128;

constexpr std::size_t class_of(std::size_t bytes) {
  const std::size_t last = std::max(bytes, smallest) - 1;
  const auto doublings = static_cast<std::size_t>(std::bit_width(last / smallest));
  const std::size_t low = smallest << doublings;  // the first power of two that holds it
  return 2 * doublings - (doublings > 0 && last < low / 4 * 3 ? 1 : 0);
}
constexpr std::size_t bytes_of(std::size_t size_class) {
  const std::size_t low = smallest << size_class / 2;
  return size_class % 2 == 0 ? low : low / 2 * 3;
}
constexpr std::size_t classes = class_of(body_pool::largest) + 1;
static_assert(class_of(1) == 0 && class_of(128) == 0 && class_of(129) == 1 && class_of(192) == 1 &&
              class_of(193) == 2 && class_of(256) == 2 && class_of(257) == 3);
static_assert(bytes_of(0) == 128 && bytes_of(1) == 192 && bytes_of(2) == 256 &&
              bytes_of(class_of(body_pool::largest)) == body_pool::largest);

class shelf;

// What stands before the bytes that the user sees.
struct alignas(std::max_align_t) block {
  shelf* home;  // null: the allocator's
  std::size_t size_class;
  block* next;  // while it is nobody's, over the user's bytes
};
constexpr std::size_t head = alignof(std::max_align_t);
static_assert(offsetof(block, next) == head);

void* bytes_of(block* which) noexcept { return reinterpret_cast<std::byte*>(which) + head; }
block* block_of(void* bytes) noexcept {
  return reinterpret_cast<block*>(static_cast<std::byte*>(bytes) - head);
}

// One thread's blocks. Lives until the thread has ended and the last block is back.
class shelf {
 public:
  // Owner.

  [[nodiscard]] block* take(std::size_t size_class) {
    if (free_[size_class] == nullptr) {
      collect();
    }
    block* taken = free_[size_class];
    if (taken != nullptr) {
      free_[size_class] = taken->next;
      kept_ -= bytes_of(size_class);
    } else {
      taken = static_cast<block*>(::operator new(bytes_of(size_class)));
      taken->home = this;
      taken->size_class = size_class;
    }
    ++out_;
    return taken;
  }

  void keep(block* back) noexcept {
    --out_;
    const std::size_t bytes = bytes_of(back->size_class);
    if (kept_ + bytes > body_pool::most_kept) {
      ::operator delete(back);
      return;
    }
    kept_ += bytes;
    back->next = free_[back->size_class];
    free_[back->size_class] = back;
  }

  [[nodiscard]] std::size_t kept() const noexcept {
    return kept_ + returned_bytes_.load(std::memory_order_relaxed);  // a figure
  }

  void close() noexcept {
    // Acquire: what those who gave the blocks did with them is over.
    block* back = returned_.exchange(closed(), std::memory_order_acq_rel);
    while (back != nullptr) {
      block* const next = back->next;
      keep(back);
      back = next;
    }
    for (block* each : free_) {
      while (each != nullptr) {
        block* const next = each->next;
        ::operator delete(each);
        each = next;
      }
    }
    // Below zero: blocks that went to the allocator instead of coming home. After this, who brings
    // the last one may have deleted us.
    const std::int64_t out = out_;
    if (missing_.fetch_add(out, std::memory_order_acq_rel) + out == 0) {
      delete this;
    }
  }

  // Any other thread.

  void bring(block* back) noexcept {
    const std::size_t bytes = bytes_of(back->size_class);
    // Relaxed: a figure.
    if (returned_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes >
        body_pool::most_kept) {
      returned_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
      lose(back);
      return;
    }
    block* first = returned_.load(std::memory_order_relaxed);
    do {
      if (first == closed()) {
        lose(back);
        return;
      }
      back->next = first;
      // Release: our use of the block is over.
    } while (!returned_.compare_exchange_weak(first, back, std::memory_order_release,
                                              std::memory_order_relaxed));
  }

 private:
  // Stands for the stack of a thread that has ended.
  [[nodiscard]] block* closed() noexcept { return reinterpret_cast<block*>(this); }

  void collect() noexcept {
    if (returned_.load(std::memory_order_relaxed) == nullptr) {
      return;
    }
    std::size_t bytes = 0;
    block* back = returned_.exchange(nullptr, std::memory_order_acquire);  // as in close
    while (back != nullptr) {
      block* const next = back->next;
      bytes += bytes_of(back->size_class);
      keep(back);
      back = next;
    }
    returned_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  void lose(block* which) noexcept {
    ::operator delete(which);
    // Acquire-release: the last one deletes what the others have used.
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }

  // The owner's own.
  std::array<block*, classes> free_{};
  std::size_t kept_ = 0;
  std::int64_t out_ = 0;  // blocks taken and not known to be back

  // Written by everybody.
  alignas(64) std::atomic<block*> returned_{nullptr};  // a stack; its owner takes all of it at once
  std::atomic<std::size_t> returned_bytes_{0};
  // Blocks that nobody will bring, less those that this thread knew of when it ended: zero after
  // that means that all are accounted for.
  std::atomic<std::int64_t> missing_{0};
};

constinit thread_local shelf* own_shelf = nullptr;
constinit thread_local bool is_over = false;  // bodies may be made still while a thread ends

struct closer {
  closer() = default;
  closer(const closer&) = delete;
  closer& operator=(const closer&) = delete;
  ~closer() {
    is_over = true;
    if (own_shelf != nullptr) {
      own_shelf->close();
      own_shelf = nullptr;
    }
  }
  void be_made() const noexcept {}
};
thread_local const closer at_the_end;

[[gnu::noinline]] void* take_first(std::size_t total) {
  if (!recycles || is_over || total > body_pool::largest) {
    auto* const taken = static_cast<block*>(::operator new(std::max(total, sizeof(block))));
    taken->home = nullptr;
    return bytes_of(taken);
  }
  own_shelf = new shelf;
  at_the_end.be_made();
  return bytes_of(own_shelf->take(class_of(total)));
}

}  // namespace

void* body_pool::take(std::size_t bytes) {
  const std::size_t total = bytes + head;
  if (own_shelf == nullptr || total > largest) [[unlikely]] {
    return take_first(total);
  }
  return bytes_of(own_shelf->take(class_of(total)));
}

void body_pool::give(void* taken) noexcept {
  block* const back = block_of(taken);
  if (back->home == nullptr) {
    ::operator delete(back);
  } else if (back->home == own_shelf) {
    own_shelf->keep(back);
  } else {
    back->home->bring(back);
  }
}

std::size_t body_pool::kept() noexcept { return own_shelf == nullptr ? 0 : own_shelf->kept(); }

}  // namespace parley::detail
