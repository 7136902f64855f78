// SPDX-License-Identifier: MPL-2.0
//
// Runs a few threads of real code in every order in which their atomic operations and system calls
// can take effect, and looks for orders that leave them stuck, race, or break a check.
//
// The threads are fibers of one thread. At each atomic operation or modelled system call a fiber
// stops and the explorer decides who goes on; it tries every decision, starting over for each.
// States are remembered by a 64-bit hash of all that the future depends on (memory, store buffers,
// what each thread has read), so that every state is continued once.
//
// Memory is that of x86 (total store order): a store waits in its thread's buffer, in order, and
// takes effect at any later time; the thread's own loads see it at once, those of others do not. A
// read-modify-write and a system call wait until the buffer is empty. membarrier makes every other
// thread empty its buffer, each at a time of its own. On top of it C++'s release and acquire are
// tracked for ordinary memory: an access to a cell that does not happen after the last write to it,
// or a write that does not happen after the last read, is a race. Thus a missing release or acquire
// is found although x86 would forgive it. Not modelled: loads that overtake loads (every load that
// matters is an acquire), machines on which two threads see two stores in different orders (Power),
// and time: waits have no deadline, but poll may return early once.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace model {

enum class strength { relaxed, acquire, release, acquire_release };

// Deliberate defects of the machine, to prove that the explorer finds what they cause.
struct defects {
  bool no_membarrier = false;     // the kernel has none
  bool empty_membarrier = false;  // it does nothing
  bool relaxed_stores = false;    // no store releases
  bool relaxed_loads = false;     // no load acquires
};

class machine {
 public:
  static machine& get();
  defects broken;

  struct outcome {
    std::string failure;  // empty: every order is fine
    std::vector<std::string> trace;
    std::size_t states = 0;
    std::size_t executions = 0;
  };
  // One way to set the stage: makes the threads' bodies; at_end checks once all have returned.
  struct scene {
    std::vector<std::function<void()>> threads;
    std::function<void()> at_end;
    bool poll_may_return_early = false;
  };
  outcome explore(const std::function<scene()>& make_scene);

  // For modelled code. Outside of threads everything takes effect at once.
  std::size_t add_variable(std::uint64_t value);
  std::uint64_t load(std::size_t variable, strength order);
  void store(std::size_t variable, std::uint64_t value, strength order);
  std::uint64_t modify(std::size_t variable, strength order,
                       const std::function<std::uint64_t(std::uint64_t)>& change);
  void lock(std::size_t variable);
  void membarrier();
  int make_event();
  void write_event(int event);
  bool read_event(int event);
  void poll_event(int event);
  void plain_write(const void* cell);
  void plain_read(const void* cell);
  void check(bool held, const char* what);
  // All that this thread's future depends on, beside the modelled memory, is where it stands and
  // these. Lets the explorer see that two pasts come to the same.
  void settle(std::initializer_list<std::uint64_t> local_state);

 private:
  static constexpr std::size_t most_threads = 4;
  static constexpr std::size_t stack_size = 128 * 1024;
  static constexpr std::size_t nobody = most_threads;
  using knowledge = std::uint64_t;  // two bits a cell: the last write, the last read

  struct pending_store {
    std::size_t variable;
    std::uint64_t value;
    knowledge known;
  };
  struct variable_state {
    std::uint64_t value = 0;
    knowledge known = 0;              // what an acquiring load learns
    std::size_t claimed_by = nobody;  // who alone stored it, and has loaded it without a stop
    std::size_t stored_by = nobody;
    bool counter = false;  // nobody decides by it
  };
  enum class action { run, flush, fence };
  enum class operation { start, load, modify, lock, barrier, barrier_end, write, read, poll };
  struct step {
    std::size_t thread;
    action what;
    operation next;
    std::size_t object;
    std::uint64_t value;
  };
  struct thread_state {
    ucontext_t context;  // for the first entry
    jmp_buf position;
    std::function<void()> body;
    std::vector<pending_store> buffer;
    // So many at its end were put there since the last stop: as far as others can tell, they may
    // also be still to come.
    std::size_t fresh = 0;
    knowledge known = ~knowledge{0};
    std::uint64_t history = 0;  // of all it has read: its local state
    operation next = operation::start;
    std::size_t object = 0;
    bool started = false;
    bool done = false;
    bool must_fence = false;
    bool early_return_used = false;
  };
  struct choice {
    std::size_t thread;
    action what;
  };
  struct branch {
    std::size_t taken;
    std::size_t options;
  };

  static void enter();
  void stop_before(operation next, std::size_t object);
  void resume(thread_state& thread);
  bool enabled(const thread_state& thread) const;
  static std::string describe(const step& each);
  void observe(std::uint64_t value);
  void forget(knowledge bits);
  std::size_t bit_of(const void* cell);
  bool on_a_stack(const void* address) const;
  void flush_one(thread_state& thread);
  const std::vector<choice>& options();
  std::uint64_t hash() const;
  void run_once(const std::function<scene()>& make_scene, std::vector<branch>& path);

  std::vector<std::vector<char>> stacks_ = std::vector<std::vector<char>>(most_threads);
  std::vector<thread_state> threads_;
  std::vector<choice> options_;
  std::vector<variable_state> variables_;
  std::vector<std::uint64_t> events_;
  std::unordered_map<const void*, std::size_t> cells_;
  std::unordered_set<std::uint64_t> seen_;
  std::unordered_set<std::size_t> shared_;  // loading these takes a stop, whoever does it
  std::size_t current_ = nobody;
  ucontext_t unused_;
  jmp_buf explorer_;
  bool poll_may_return_early_ = false;
  std::string failure_;
  std::vector<step> trace_;
};

// Stands in for std::atomic in the code under test.
template<class T>
class atomic {
 public:
  atomic(T value) : id_{machine::get().add_variable(static_cast<std::uint64_t>(value))} {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  template<class Order>
  T load(Order order) const noexcept {
    return static_cast<T>(machine::get().load(id_, of(order)));
  }
  template<class Order>
  void store(T value, Order order) noexcept {
    machine::get().store(id_, static_cast<std::uint64_t>(value), of(order));
  }
  template<class Order>
  T exchange(T value, Order order) noexcept {
    return static_cast<T>(machine::get().modify(
        id_, of(order), [=](std::uint64_t) { return static_cast<std::uint64_t>(value); }));
  }
  template<class Order>
  T fetch_add(T value, Order order) noexcept {
    return static_cast<T>(machine::get().modify(id_, of(order), [=](std::uint64_t before) {
      return before + static_cast<std::uint64_t>(value);
    }));
  }

  // The variable's number in traces.
  [[nodiscard]] std::size_t id() const { return id_; }

 private:
  template<class Order>
  static strength of(Order order) {
    if (order == Order::relaxed) return strength::relaxed;
    if (order == Order::acquire) return strength::acquire;
    if (order == Order::release) return strength::release;
    return strength::acquire_release;
  }
  std::size_t id_;
};

// Stands in for std::mutex.
class mutex {
 public:
  void lock() { machine::get().lock(id_); }
  void unlock() { machine::get().store(id_, 0, strength::release); }

 private:
  std::size_t id_ = machine::get().add_variable(0);
};

// An item whose every access in a pipe's slot is watched for races.
class item {
 public:
  explicit item(int number) noexcept : number_{number} { machine::get().plain_write(this); }
  item(item&& other) noexcept : number_{other.number()} { machine::get().plain_write(this); }
  ~item() { machine::get().plain_write(this); }
  [[nodiscard]] int number() const noexcept {
    machine::get().plain_read(this);
    return number_;
  }

 private:
  int number_;
};

}  // namespace model
