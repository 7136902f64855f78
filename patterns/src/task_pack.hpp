// SPDX-License-Identifier: MPL-2.0
//
// Bodies of tasks as they travel, packed one after another by who pushes them: the desk points to
// parts of them, and what it sends are slices of them.
//
// Threads: one at a time while it grows, or more by open_pack. Then its bytes do not change any
// more.
#pragma once

#include <parley/body_pool.hpp>
#include <parley/frame.hpp>

#include "packed_bytes.hpp"
#include "task_wire.hpp"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace parley::detail {

struct task_pack : frame::body {
  // It is full with as many bytes, or with as many tasks as go in a run.
  static constexpr std::size_t most_bytes = 32 << 10;

  explicit task_pack(std::size_t room);

  [[nodiscard]] bool has_room_for(std::size_t size) const noexcept {
    return count < most_in_run && bytes.size() + wire::body_head + size <= most_bytes;
  }
  // Requires: no more than most_packed octets, and room for them.
  void add(std::string_view its_body) {
    assert(its_body.size() <= most_packed && has_room_for(its_body.size()));
    char* const at = bytes.extend(wire::body_head + its_body.size());
    put_number(at, static_cast<std::uint32_t>(its_body.size()));
    if (!its_body.empty()) {
      std::memcpy(at + wire::body_head, its_body.data(), its_body.size());
    }
    begins[++count] = static_cast<std::uint32_t>(bytes.size());
  }

  static void* operator new(std::size_t size) { return body_pool::take(size); }
  static void operator delete(void* made) noexcept { body_pool::give(made); }

  packed_in<pooled_memory> bytes;
  std::uint32_t count = 0;
  std::array<std::uint32_t, most_in_run + 1> begins{};  // of each, and the end of the last one
};

// An owner.
class task_pack_ref {
 public:
  task_pack_ref() noexcept = default;
  // Takes over the share that is made with it.
  explicit task_pack_ref(task_pack* made) noexcept : pack_{made} {}
  task_pack_ref(const task_pack_ref& other) noexcept : pack_{other.pack_} {
    if (pack_ != nullptr) {
      // Relaxed: whoever adds a share holds one already.
      pack_->owners.fetch_add(1, std::memory_order_relaxed);
    }
  }
  task_pack_ref(task_pack_ref&& other) noexcept : pack_{std::exchange(other.pack_, nullptr)} {}
  task_pack_ref& operator=(task_pack_ref other) noexcept {
    std::swap(pack_, other.pack_);
    return *this;
  }
  ~task_pack_ref() {
    if (pack_ != nullptr) {
      frame::drop_share(pack_);
    }
  }

  [[nodiscard]] task_pack* operator->() const noexcept { return pack_; }
  explicit operator bool() const noexcept { return pack_ != nullptr; }

 private:
  task_pack* pack_ = nullptr;
};

// The bodies of some tasks in a row: one as it is, at first empty, or a part of a pack.
class task_bodies {
 public:
  task_bodies() noexcept = default;
  explicit task_bodies(frame&& only) noexcept : only_{std::move(only)} {}
  explicit task_bodies(task_pack_ref&& all) noexcept : pack_{std::move(all)}, end_{pack_->count} {}

  [[nodiscard]] std::uint32_t count() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool is_packed() const noexcept { return static_cast<bool>(pack_); }
  // Octets of some of them: [begin, end).
  [[nodiscard]] std::size_t size(std::uint32_t begin, std::uint32_t end) const noexcept {
    return is_packed() ? pack_->begins[begin_ + end] - pack_->begins[begin_ + begin] -
                             wire::body_head * (end - begin)
                       : only_.size();
  }
  [[nodiscard]] std::size_t size() const noexcept { return size(0, count()); }
  [[nodiscard]] std::string_view view(std::uint32_t which) const noexcept {
    return is_packed() ? packed(which, which + 1).substr(wire::body_head) : only_.view();
  }
  [[nodiscard]] frame one(std::uint32_t which) const {
    return is_packed() ? frame{view(which)} : only_;
  }
  // As they travel. Requires: is_packed().
  [[nodiscard]] std::string_view packed() const noexcept { return packed(0, count()); }
  [[nodiscard]] frame packed_frame() const;
  // Some of them, still in the pack. Requires: is_packed(), or all.
  [[nodiscard]] task_bodies some(std::uint32_t begin, std::uint32_t end) const {
    task_bodies chosen{*this};
    chosen.begin_ = begin_ + begin;
    chosen.end_ = begin_ + end;
    return chosen;
  }
  void drop_front(std::uint32_t some) noexcept { begin_ += some; }
  // Back to where it came from. Requires: it is as it was made.
  void give_back(frame& only, task_pack_ref& all) noexcept {
    only = std::move(only_);
    all = std::move(pack_);
  }
  // It does not keep the rest of its pack any more. Requires: count() == 1.
  void stand_alone() {
    if (is_packed()) {
      *this = task_bodies{one(0)};
    }
  }

 private:
  [[nodiscard]] std::string_view packed(std::uint32_t begin, std::uint32_t end) const noexcept {
    const std::uint32_t from = pack_->begins[begin_ + begin];
    return pack_->bytes.view().substr(from, pack_->begins[begin_ + end] - from);
  }

  frame only_;
  task_pack_ref pack_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 1;
};

}  // namespace parley::detail
