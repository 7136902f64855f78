// SPDX-License-Identifier: MPL-2.0
//
// The pipes' own code in every order that the machine knows: what is pushed before a close is
// delivered once and in order, nobody waits forever, nothing races, no descriptor stays readable.
//
//   pipe_model [--no-membarrier | --empty-membarrier | --relaxed-stores | --relaxed-loads]
//   [SCENE...]
//
// --no-membarrier is a kernel without it, which must work; the others are defects, which must be
// found. Exit code: 0 all orders are right, 1 one is not (its trace is printed), 2 usage.

// All that the code under test includes comes first, so that the words defined below change only
// that code.
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <parley/error.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "machine.hpp"

namespace std {
template<class T>
using modelled_atomic = model::atomic<T>;
using modelled_mutex = model::mutex;
}  // namespace std

namespace {

long modelled_syscall(long, int command, int, int) {
  auto& machine = model::machine::get();
  if (machine.broken.no_membarrier) return -1;
  if (command == MEMBARRIER_CMD_QUERY) return MEMBARRIER_CMD_PRIVATE_EXPEDITED;
  if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED) machine.membarrier();
  return 0;
}
int modelled_eventfd(unsigned, int) { return model::machine::get().make_event(); }
int modelled_poll(const pollfd* polled, unsigned, int) {
  model::machine::get().poll_event(polled->fd);
  return 1;
}
int modelled_ppoll(const pollfd* polled, unsigned, const timespec*, const void*) {
  return modelled_poll(polled, 1, -1);
}
long modelled_read(int fd, void*, std::size_t) {
  return model::machine::get().read_event(fd) ? 8 : -1;
}
long modelled_write(int fd, const void*, std::size_t) {
  model::machine::get().write_event(fd);
  return 8;
}
int modelled_close(int) { return 0; }

}  // namespace

#define atomic modelled_atomic
#define mutex modelled_mutex
#ifdef __clang__
#pragma clang diagnostic ignored "-Wkeyword-macro"
#endif
#define private public  // for settle below
#include <parley/pipe/mpsc_pipe.hpp>
#include <parley/pipe/spsc_pipe.hpp>
// The library's packed cells, of messages that the model knows.
#include <parley/message.hpp>
#define syscall modelled_syscall
#define eventfd modelled_eventfd
#define poll modelled_poll
#define ppoll modelled_ppoll
#define read modelled_read
#define write modelled_write
#define close modelled_close
#include "doorbell.cpp"
#undef atomic
#undef mutex
#undef private
#undef syscall
#undef eventfd
#undef poll
#undef ppoll
#undef read
#undef write
#undef close

namespace {

using model::item;
using model::machine;
using parley::push_result;
using pipe_of_items = parley::spsc_pipe<item>;
using pipe_of_messages = parley::spsc_pipe<parley::message>;
using many_pipe = parley::mpsc_pipe<item>;

constexpr parley::wait_strategy sleepy{.mode = parley::wait_mode::sleep};

void check(bool held, const char* what) { machine::get().check(held, what); }

// What the threads of a scene have in common.
template<class Pipe>
struct stage {
  explicit stage(std::size_t capacity) : pipe{capacity, sleepy} {}

  // Pushes first, first + 1, ... until refused.
  template<class Writer>
  void push(Writer& writer, int count, int first = 0) {
    for (int i = 0; i < count; ++i) {
      settle_writer(writer, i);
      if (writer.push(first + i, stop.get_token()) != push_result::pushed) return;
      ++accepted;
    }
    settle_writer(writer, count);
  }
  template<class Item>
  void see(const Item& each) {
    got.push_back(each.number());
  }
  void pop(int most = 100) {
    while (most-- > 0) {
      settle_reader(most);
      const auto each = pipe.pop(stop.get_token());
      if (!each) return;
      see(*each);
    }
  }

  // What an end remembers of its own between two calls, beside what is modelled.
  void settle_writer(const pipe_of_items& writer, int at) {
    machine::get().settle({number(at), writer.seen_read_, number(writer.write_bell_->fd_)});
  }
  void settle_writer(const pipe_of_messages& writer, int at) {
    const auto& cells = writer.cells_;
    machine::get().settle({number(at), writer.seen_read_, number(writer.write_bell_->fd_),
                           static_cast<std::uint64_t>(cells.claimed_ - cells.first_)});
  }
  void settle_writer(const many_pipe::writer& writer, int at) { settle_writer(*writer.lane_, at); }
  void settle_reader(int at) {
    std::uint64_t seen = 0;
    for (const int each : got)
      seen = 32 * seen + number(each) + 1;
    if constexpr (!std::is_same_v<Pipe, many_pipe>) {
      machine::get().settle({number(at), seen, pipe.seen_write_, number(pipe.read_bell_->fd_)});
    } else {
      for (const auto& each : pipe.lanes_) {
        seen = 4096 * seen + 64 * each->write_.id() + each->seen_write_;
      }
      machine::get().settle({number(at), seen, pipe.all_.size(), pipe.current_, pipe.turn_,
                             number(pipe.read_bell_->fd_)});
    }
  }
  static std::uint64_t number(int value) { return static_cast<std::uint64_t>(value); }
  void check_delivered_in_order(int first = 0) {
    for (std::size_t i = 0; i < got.size(); ++i) {
      check(got[i] == first + static_cast<int>(i), "an item is lost, doubled or out of order");
    }
  }
  void check_all_accounted_for() {
    check(before + accepted == pipe.pushed() && before + got.size() == pipe.popped(),
          "the counters are wrong");
    check(got.size() <= accepted, "an item came from nowhere");
  }
  void check_all_delivered(std::size_t count) {
    check(accepted == count, "a push was refused");
    check(got.size() == count, "an item is lost");
  }

  Pipe pipe;
  std::stop_source stop;
  std::vector<int> got;
  std::size_t before = 0;  // came through before the threads
  std::size_t accepted = 0;
};

template<class Pipe>
auto set_stage(std::size_t capacity) {
  return std::make_shared<stage<Pipe>>(capacity);
}

template<class Pipe>
machine::scene writer_closes_at(const std::shared_ptr<stage<Pipe>>& at, int count, int first) {
  return {{[=] {
             at->push(at->pipe, count, first);
             at->pipe.close();
           },
           [=] { at->pop(); }},
          [=] {
            at->check_all_delivered(static_cast<std::size_t>(count));
            at->check_delivered_in_order(first);
            at->check_all_accounted_for();
            check(at->pipe.drained(), "not drained");
          }};
}

machine::scene writer_closes(std::size_t capacity, int count) {
  return writer_closes_at(set_stage<pipe_of_items>(capacity), count, 0);
}

// Of different lengths, numbered from 1. So many came through before: the next begin in the middle
// of the pipe's memory.
machine::scene messages(std::size_t capacity, int count, int before) {
  const auto at = set_stage<pipe_of_messages>(capacity);
  for (int i = 1; i <= before; ++i) {
    ++at->before;
    check(at->pipe.try_push(i) == push_result::pushed && at->pipe.try_pop()->number() == i,
          "a message does not come through");
  }
  return writer_closes_at(at, count, before + 1);
}

// The last push and the last pop must do without the rings of a close.
machine::scene nobody_closes(std::size_t capacity, int count) {
  const auto at = set_stage<pipe_of_items>(capacity);
  return {{[=] { at->push(at->pipe, count); }, [=] { at->pop(count); }}, [=] {
            at->check_all_delivered(static_cast<std::size_t>(count));
            at->check_delivered_in_order();
          }};
}

machine::scene reader_closes(std::size_t capacity, int count) {
  const auto at = set_stage<pipe_of_items>(capacity);
  return {{[=] { at->push(at->pipe, count); },
           [=] {
             at->pop(1);
             at->pipe.close();
             at->pop();
           }},
          [=] {
            at->check_delivered_in_order();
            at->check_all_accounted_for();
            check(!at->got.empty(), "the first item is lost");
          }};
}

machine::scene another_closes(std::size_t capacity, int count) {
  const auto at = set_stage<pipe_of_items>(capacity);
  return {{[=] { at->push(at->pipe, count); }, [=] { at->pop(); }, [=] { at->pipe.close(); }}, [=] {
            at->check_delivered_in_order();
            at->check_all_accounted_for();
          }};
}

machine::scene batches(std::size_t capacity, int count) {
  const auto at = set_stage<pipe_of_items>(capacity);
  return {{[=] {
             std::vector<item> items;
             items.reserve(static_cast<std::size_t>(count));
             for (int i = 0; i < count; ++i)
               items.emplace_back(i);
             at->accepted = at->pipe.push_n(items);
             at->pipe.close();
           },
           [=] {
             while (at->pipe.pop_n([&](item&& each) { at->see(each); }) != 0) {
             }
           }},
          [=] {
            at->check_all_delivered(static_cast<std::size_t>(count));
            at->check_delivered_in_order();
          }};
}

machine::scene reader_is_stopped() {
  const auto at = set_stage<pipe_of_items>(1);
  return {{[=] { at->stop.request_stop(); },
           [=] {
             at->pop();
             check(!at->pipe.closed(), "a stop closed the pipe");
           }},
          [] {}};
}

machine::scene writer_is_stopped() {
  const auto at = set_stage<pipe_of_items>(1);
  return {{[=] { at->push(at->pipe, 2); }, [=] { at->stop.request_stop(); }},
          [=] { at->check_all_accounted_for(); }};
}

machine::scene reader_polls(std::size_t capacity, int count) {
  const auto at = set_stage<pipe_of_items>(capacity);
  return {{[=] {
             at->push(at->pipe, count);
             at->pipe.close();
           },
           [=] {
             auto& bell = at->pipe.read_bell();
             while (!at->pipe.drained()) {
               if (bell.arm([&] { return at->pipe.readable(); })) {
                 machine::get().poll_event(bell.fd());
               }
               bell.disarm();
               while (const auto each = at->pipe.try_pop())
                 at->see(*each);
             }
           }},
          [=] {
            at->check_all_delivered(static_cast<std::size_t>(count));
            at->check_delivered_in_order();
          },
          true};
}

// Lanes appear and are dropped while the reader works or sleeps.
machine::scene writers_come_and_go() {
  const auto at = set_stage<many_pipe>(1);
  return {{[=] {
             for (int i = 0; i < 2; ++i) {
               auto writer = at->pipe.add_writer();
               at->push(writer, 1, i);
             }
           },
           [=] { at->pop(2); }},
          [=] {
            at->check_all_delivered(2);
            at->check_all_accounted_for();
          }};
}

machine::scene many_writers_wait() {
  const auto at = set_stage<many_pipe>(1);
  const auto writer = std::make_shared<many_pipe::writer>(at->pipe.add_writer());
  return {{[=] { at->push(*writer, 3); }, [=] { at->pop(3); }}, [=] {
            at->check_all_delivered(3);
            at->check_delivered_in_order();
            at->check_all_accounted_for();
          }};
}

machine::scene many_are_closed() {
  const auto at = set_stage<many_pipe>(1);
  return {{[=] {
             auto writer = at->pipe.add_writer();
             at->push(writer, 2);
             at->pipe.close();
           },
           [=] { at->pop(); }},
          [=] {
            at->check_all_delivered(2);
            at->check_delivered_in_order();
            at->check_all_accounted_for();
            check(at->pipe.drained(), "not drained");
          }};
}

machine::scene a_writer_comes_at_close() {
  const auto at = set_stage<many_pipe>(1);
  return {{[=] {
             auto writer = at->pipe.add_writer();
             at->push(writer, 2);
           },
           [=] { at->pipe.close(); }},
          [] {}};
}

}  // namespace

int main(int argc, char** argv) {
  auto& machine = machine::get();
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--no-membarrier") {
      machine.broken.no_membarrier = true;
    } else if (word == "--empty-membarrier") {
      machine.broken.empty_membarrier = true;
    } else if (word == "--relaxed-stores") {
      machine.broken.relaxed_stores = true;
    } else if (word == "--relaxed-loads") {
      machine.broken.relaxed_loads = true;
    } else {
      wanted.push_back(word);
    }
  }
  const std::pair<const char*, std::function<machine::scene()>> scenes[] = {
      {"the writer closes, capacity 1", [] { return writer_closes(1, 2); }},
      {"the writer closes, capacity 2", [] { return writer_closes(2, 3); }},
      {"messages, capacity 1", [] { return messages(1, 4, 0); }},
      {"messages, capacity 4", [] { return messages(4, 5, 3); }},
      {"nobody closes", [] { return nobody_closes(1, 2); }},
      {"the reader closes", [] { return reader_closes(1, 3); }},
      {"another thread closes", [] { return another_closes(1, 2); }},
      {"batches", [] { return batches(2, 3); }},
      {"the reader is stopped", reader_is_stopped},
      {"the writer is stopped", writer_is_stopped},
      {"the reader polls", [] { return reader_polls(1, 2); }},
      {"a writer of many waits", many_writers_wait},
      {"writers come and go", writers_come_and_go},
      {"many writers are closed", many_are_closed},
      {"a writer comes at the close", a_writer_comes_at_close},
  };
  std::size_t found = 0;
  for (const auto& [name, scene] : scenes) {
    if (!wanted.empty() && std::count(wanted.begin(), wanted.end(), name) == 0) continue;
    ++found;
    const auto outcome = machine.explore(scene);
    std::printf("%-32s %9zu states, %9zu executions\n", name, outcome.states, outcome.executions);
    if (outcome.failure.empty()) continue;
    std::printf("FAILED: %s\n", outcome.failure.c_str());
    for (const auto& step : outcome.trace)
      std::printf("  %s\n", step.c_str());
    return 1;
  }
  if (found == 0 || found < wanted.size()) {
    std::fprintf(stderr, "pipe_model: there is no such scene\n");
    return 2;
  }
  return 0;
}
