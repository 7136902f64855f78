// SPDX-License-Identifier: MPL-2.0
//
// A task of a pipeline: what a source is given, what a worker receives, and what became of it. See
// pipeline.hpp.
#pragma once

#include <parley/codec.hpp>
#include <parley/frame.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {

struct task_id {
  std::uint64_t source = 0;  // random, of the source or of its journal; 0: a plain PUSH socket
  std::uint64_t number = 0;  // 1, 2, ... in the order of push

  friend auto operator<=>(const task_id&, const task_id&) = default;
};

// How a task is to be treated.
struct task_options {
  std::string key{};                   // tasks of one key are done one by one, in their order
  std::string to{};                    // only the worker of that worker_options::name gets it
  int priority = 0;                    // 0 to 9; higher ones go first
  std::chrono::milliseconds delay{0};  // not before
  // Dropped if no worker has begun it by then; 0: never.
  std::chrono::milliseconds deadline{0};

  friend bool operator==(const task_options&, const task_options&) = default;
};

enum class task_end : std::uint8_t {
  done,
  failed,      // too often: it is among the dead letters
  expired,     // task_options::deadline passed
  dropped,     // to make room, by full_policy::drop_oldest; or by hand
  unfinished,  // the source was closed first; in a journal it is kept
};
// "done", ...
[[nodiscard]] std::string_view to_string(task_end how) noexcept;

struct task_outcome {
  task_id id;
  task_end how = task_end::done;
  frame result;     // what the handler returned, if anything
  std::string why;  // failed: the last failure
};

// A task that failed too often.
struct dead_letter {
  task_id id;
  frame body;
  task_options options;
  std::uint32_t attempts = 0;
  std::string why;  // the last failure
};

namespace detail {
class served_run;
class worker_core;
struct held_task;
}  // namespace detail

// What a worker received. It must be answered, once: by done, fail, reject or give_back; letting it
// go without a word is a failure. Answers are for any thread; later ones are ignored, as is one to
// a task whose lease has ended, or whose worker is gone. Move-only; one thread at a time. An empty
// one, made so or moved from, has no id, and answers do nothing.
class task {
 public:
  task() noexcept = default;
  task(task&& other) noexcept
      : body{std::move(other.body)},
        id_{std::exchange(other.id_, {})},
        held_{std::exchange(other.held_, nullptr)},
        run_{std::exchange(other.run_, nullptr)},
        place_{other.place_} {}
  task& operator=(task&& other) noexcept;
  ~task() {
    if (held_ != nullptr || run_ != nullptr) {
      let_go();
    }
  }

  frame body;

  // Throws protocol_error when the body is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(body);
  }

  [[nodiscard]] task_id id() const noexcept { return id_; }
  // 1: nobody was known to have begun it before.
  [[nodiscard]] std::uint32_t attempt() const noexcept;
  [[nodiscard]] std::string_view key() const noexcept;
  // Asked for when the lease ends, the source does not wait for it any more, or the worker closes.
  // Who stops before the task is done must say so: fail, or give_back.
  [[nodiscard]] std::stop_token stop_token() const;
  // Another worker_options::lease from now on. False: it has ended already.
  bool renew() noexcept;

  void done() noexcept;
  template<class T>
  void done(const T& result) {
    finish(to_body(result));
  }
  // Somebody else, or this worker later, is to try again.
  void fail(std::string_view why) noexcept;
  // Nobody is to try again: it becomes a dead letter at once.
  void reject(std::string_view why) noexcept;
  // As if it had never been received.
  void give_back() noexcept;

 private:
  friend class detail::worker_core;
  // Takes it over.
  explicit task(detail::held_task& held) noexcept;
  task(detail::served_run& run, std::uint32_t place);
  // One that was not answered.
  [[nodiscard]] bool is_owed() const noexcept;
  // By what its worker knows it, if it is owed; null: it is not.
  [[nodiscard]] detail::held_task* claim() const noexcept;
  void finish(frame result) noexcept;
  void let_go() noexcept;

  task_id id_;
  // Ours; its worker uses it again.
  mutable detail::held_task* held_ = nullptr;
  // Until it is done or claimed, instead: our place there.
  mutable detail::served_run* run_ = nullptr;
  std::uint32_t place_ = 0;
};

}  // namespace parley
