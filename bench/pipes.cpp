// SPDX-License-Identifier: MPL-2.0
//
// Pipes between threads. Every side moves the same plain struct, checks the number in it, holds at
// most 1024 items, and pins its two threads the same way.
#include <zmq.h>
#include <parley/frame.hpp>
#include <parley/pipe/mpsc_pipe.hpp>
#include <parley/pipe/spsc_pipe.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#ifdef PARLEY_BENCH_READERWRITERQUEUE
#include <readerwritercircularbuffer.h>
#include <readerwriterqueue.h>
#endif
#ifdef PARLEY_BENCH_CONCURRENTQUEUE
#include <blockingconcurrentqueue.h>
#endif

#include "benches.hpp"

namespace parley::bench {
namespace {

constexpr std::size_t capacity = 1024;

template<std::size_t Size>
struct item {
  explicit item(std::uint64_t number = 0) { words.fill(number); }
  std::array<std::uint64_t, Size / 8> words;
  // Looks at both ends, so that the whole item must have crossed.
  [[nodiscard]] bool is(std::uint64_t number) const {
    return words.front() == number && words.back() == number;
  }
};

// Millions of items a second through put(item) in one thread and take(item&) in another.
template<class Item, class Put, class Take>
double throughput(std::uint64_t count, Put put, Take take) {
  const double seconds = time_two_threads(
      [&] {
        for (std::uint64_t i = 0; i < count; ++i)
          put(Item{i});
      },
      [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          Item got;
          take(got);
          require(got.is(i), "an item came out of order");
        }
      });
  return static_cast<double>(count) / seconds / 1e6;
}

enum class reading {
  by_pop,
  // As much as there is: what a reader does that has nothing else to do.
  by_pop_n,
};

// Pushed one by one.
template<std::size_t Size>
measure ours(wait_mode mode, reading how = reading::by_pop) {
  return [mode, how] {
    constexpr std::uint64_t count = 5'000'000;
    spsc_pipe<item<Size>> pipe{capacity, {.mode = mode}};
    const double seconds = time_two_threads(
        [&] {
          for (std::uint64_t i = 0; i < count; ++i)
            pipe.push(item<Size>{i});
          pipe.close();
        },
        [&] {
          std::uint64_t expected = 0;
          if (how == reading::by_pop) {
            while (const auto got = pipe.pop()) {
              require(got->is(expected++), "an item came out of order");
            }
          }
          const auto take = [&](item<Size>&& got) {
            require(got.is(expected++), "an item came out of order");
          };
          while (how == reading::by_pop_n && pipe.pop_n(take) != 0) {
          }
          require(expected == count, "an item was lost");
        });
    return static_cast<double>(count) / seconds / 1e6;
  };
}

template<std::size_t Size>
measure ours_batched() {
  return [] {
    constexpr std::uint64_t count = 10'000'000;
    spsc_pipe<item<Size>> pipe{capacity};
    const double seconds = time_two_threads(
        [&] {
          std::array<item<Size>, 50> batch;
          for (std::uint64_t i = 0; i < count;) {
            for (auto& each : batch)
              each = item<Size>{i++};
            pipe.push_n(batch);
          }
          pipe.close();
        },
        [&] {
          std::uint64_t expected = 0;
          const auto take = [&](item<Size>&& got) {
            require(got.is(expected++), "an item came out of order");
          };
          while (pipe.pop_n(take) != 0) {
          }
          require(expected == count, "an item was lost");
        });
    return static_cast<double>(count) / seconds / 1e6;
  };
}

// Two inproc PAIR sockets; the high-water marks of both sides add up to our capacity.
class zmq_pair {
 public:
  zmq_pair() {
    const int mark = capacity / 2;
    for (void* socket : {a, b}) {
      zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof mark);
      zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof mark);
    }
    require(zmq_bind(a, "inproc://bench") == 0 && zmq_connect(b, "inproc://bench") == 0,
            "libzmq: cannot connect a pair");
  }
  ~zmq_pair() {
    zmq_close(a);
    zmq_close(b);
    zmq_ctx_term(context);
  }
  zmq_pair(const zmq_pair&) = delete;
  zmq_pair& operator=(const zmq_pair&) = delete;

  void* const context = zmq_ctx_new();
  void* const a = zmq_socket(context, ZMQ_PAIR);
  void* const b = zmq_socket(context, ZMQ_PAIR);
};

template<class Item>
void zmq_put(void* socket, const Item& value) {
  require(zmq_send(socket, &value, sizeof value, 0) == sizeof value, "libzmq: cannot send");
}
template<class Item>
void zmq_take(void* socket, Item& value) {
  require(zmq_recv(socket, &value, sizeof value, 0) == sizeof value, "libzmq: cannot receive");
}

template<std::size_t Size>
double libzmq() {
  zmq_pair pair;
  return throughput<item<Size>>(
      500'000, [&](const item<Size>& value) { zmq_put(pair.a, value); },
      [&](item<Size>& value) { zmq_take(pair.b, value); });
}

#ifdef PARLEY_BENCH_READERWRITERQUEUE
template<std::size_t Size>
double moodycamel_blocking() {
  moodycamel::BlockingReaderWriterCircularBuffer<item<Size>> queue{capacity};
  return throughput<item<Size>>(
      2'000'000, [&](const item<Size>& value) { queue.wait_enqueue(value); },
      [&](item<Size>& value) { queue.wait_dequeue(value); });
}

template<std::size_t Size>
double moodycamel_spinning() {
  moodycamel::ReaderWriterQueue<item<Size>> queue{capacity};
  return throughput<item<Size>>(
      5'000'000,
      [&](const item<Size>& value) {
        while (!queue.try_enqueue(value)) {
        }
      },
      [&](item<Size>& value) {
        while (!queue.try_dequeue(value)) {
        }
      });
}
#endif

#ifdef PARLEY_BENCH_CONCURRENTQUEUE
// Unbounded: the peer may use as much memory as it likes.
template<std::size_t Size>
double moodycamel_many_blocking() {
  moodycamel::BlockingConcurrentQueue<item<Size>> queue;
  return throughput<item<Size>>(
      2'000'000, [&](const item<Size>& value) { queue.enqueue(value); },
      [&](item<Size>& value) { queue.wait_dequeue(value); });
}
#endif

// Microseconds from a push to the answer's pop, both sides awake.
double ours_ping_pong() {
  constexpr std::uint64_t count = 200'000;
  spsc_pipe<item<8>> there{capacity};
  spsc_pipe<item<8>> back{capacity};
  const double seconds = time_two_threads(
      [&] {
        while (auto got = there.pop())
          back.push(*got);
      },
      [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          there.push(item<8>{i});
          require(back.pop()->is(i), "a wrong answer");
        }
        there.close();
      });
  return seconds / count * 1e6;
}

double libzmq_ping_pong() {
  constexpr std::uint64_t count = 20'000;
  zmq_pair pair;
  const double seconds = time_two_threads(
      [&] {
        item<8> value;
        for (std::uint64_t i = 0; i < count; ++i) {
          zmq_take(pair.b, value);
          zmq_put(pair.b, value);
        }
      },
      [&] {
        item<8> value;
        for (std::uint64_t i = 0; i < count; ++i) {
          zmq_put(pair.a, item<8>{i});
          zmq_take(pair.a, value);
          require(value.is(i), "a wrong answer");
        }
      });
  return seconds / count * 1e6;
}

// A body of 1 KiB that is allocated and filled by the writer, and freed by the reader.
double ours_1_kib() {
  using body = item<1024>;
  constexpr std::uint64_t count = 500'000;
  spsc_pipe<frame> pipe{capacity};
  const double seconds = time_two_threads(
      [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          const body made{i};
          pipe.push(frame{&made, sizeof made});
        }
        pipe.close();
      },
      [&] {
        std::uint64_t expected = 0;
        while (const auto got = pipe.pop()) {
          require(reinterpret_cast<const body*>(got->data())->is(expected++),
                  "an item came out of order");
        }
        require(expected == count, "an item was lost");
      });
  return static_cast<double>(count) / seconds / 1e6;
}

double libzmq_1_kib() {
  using body = item<1024>;
  zmq_pair pair;
  constexpr std::uint64_t count = 500'000;
  const double seconds = time_two_threads(
      [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          zmq_msg_t message;
          zmq_msg_init_size(&message, sizeof(body));
          ::new (zmq_msg_data(&message)) body{i};
          require(zmq_msg_send(&message, pair.a, 0) != -1, "libzmq: cannot send");
        }
      },
      [&] {
        zmq_msg_t message;
        zmq_msg_init(&message);
        for (std::uint64_t i = 0; i < count; ++i) {
          require(zmq_msg_recv(&message, pair.b, 0) != -1, "libzmq: cannot receive");
          require(static_cast<const body*>(zmq_msg_data(&message))->is(i),
                  "an item came out of order");
        }
        zmq_msg_close(&message);
      });
  return static_cast<double>(count) / seconds / 1e6;
}

// Many writers: each counts up; its id stands above the count. The reader checks every writer's
// order.
constexpr std::uint64_t writer_shift = 48;

// Millions of items a second. make_writer(id) is called in the writer's thread and returns what
// puts one item; take(item&) is called in the reader's.
template<class Item, class MakeWriter, class Take>
double many_to_one(unsigned writers, std::uint64_t each, MakeWriter make_writer, Take take) {
  std::vector<std::function<void()>> writing;
  for (unsigned id = 0; id < writers; ++id) {
    writing.emplace_back([=] {
      auto put = make_writer(id);
      const std::uint64_t first = std::uint64_t{id} << writer_shift;
      for (std::uint64_t i = 0; i < each; ++i)
        put(Item{first + i});
    });
  }
  const double seconds = time_threads(writing, [&] {
    std::vector<std::uint64_t> next(writers);
    for (std::uint64_t i = 0; i < writers * each; ++i) {
      Item got;
      take(got);
      const std::uint64_t id = got.words.front() >> writer_shift;
      require(id < writers && got.is((id << writer_shift) + next[id]), "an item came out of order");
      ++next[id];
    }
  });
  return static_cast<double>(writers * each) / seconds / 1e6;
}

measure ours_many(unsigned writers) {
  return [writers] {
    mpsc_pipe<item<64>> pipe{capacity};
    return many_to_one<item<64>>(
        writers, 4'000'000 / writers,
        [&pipe](unsigned) {
          return
              [writer = pipe.add_writer()](const item<64>& value) mutable { writer.push(value); };
        },
        [&pipe](item<64>& value) { value = *pipe.pop(); });
  };
}

measure libzmq_many(unsigned writers) {
  return [writers] {
    void* const context = zmq_ctx_new();
    void* const pull = zmq_socket(context, ZMQ_PULL);
    std::vector<void*> pushes;
    const int mark = capacity / 2;
    zmq_setsockopt(pull, ZMQ_RCVHWM, &mark, sizeof mark);
    require(zmq_bind(pull, "inproc://bench") == 0, "libzmq: cannot bind");
    for (unsigned i = 0; i < writers; ++i) {
      pushes.push_back(zmq_socket(context, ZMQ_PUSH));
      zmq_setsockopt(pushes.back(), ZMQ_SNDHWM, &mark, sizeof mark);
      require(zmq_connect(pushes.back(), "inproc://bench") == 0, "libzmq: cannot connect");
    }
    const double rate = many_to_one<item<64>>(
        writers, 400'000 / writers,
        [&pushes](unsigned id) {
          return [push = pushes[id]](const item<64>& value) { zmq_put(push, value); };
        },
        [pull](item<64>& value) { zmq_take(pull, value); });
    for (void* push : pushes)
      zmq_close(push);
    zmq_close(pull);
    zmq_ctx_term(context);
    return rate;
  };
}

#ifdef PARLEY_BENCH_CONCURRENTQUEUE
// As fast as it can be used: a token for each writer and for the reader. Unbounded.
measure moodycamel_many(unsigned writers) {
  return [writers] {
    moodycamel::BlockingConcurrentQueue<item<64>> queue;
    moodycamel::ConsumerToken reader{queue};
    return many_to_one<item<64>>(
        writers, 2'000'000 / writers,
        [&queue](unsigned) {
          return [&queue, token = moodycamel::ProducerToken{queue}](const item<64>& value) mutable {
            queue.enqueue(token, value);
          };
        },
        [&](item<64>& value) { queue.wait_dequeue(reader, value); });
  };
}
#endif

bench_case many(unsigned writers) {
  std::vector<peer> peers{{"libzmq inproc PUSH/PULL", libzmq_many(writers), 1}};
#ifdef PARLEY_BENCH_CONCURRENTQUEUE
  peers.push_back({"moodycamel blocking queue", moodycamel_many(writers), 1});
#endif
  return {"64 B, " + std::to_string(writers) + " writers, may sleep", "M/s", better::more,
          ours_many(writers), std::move(peers)};
}

template<std::size_t Size>
std::vector<peer> sleeping_peers(double times_libzmq, double times_moodycamel) {
  std::vector<peer> peers{{"libzmq inproc PAIR", libzmq<Size>, times_libzmq}};
#ifdef PARLEY_BENCH_READERWRITERQUEUE
  peers.push_back({"moodycamel blocking ring", moodycamel_blocking<Size>, times_moodycamel});
#endif
#ifdef PARLEY_BENCH_CONCURRENTQUEUE
  peers.push_back({"moodycamel blocking queue", moodycamel_many_blocking<Size>, times_moodycamel});
#endif
  return peers;
}

template<std::size_t Size>
std::vector<peer> spinning_peers([[maybe_unused]] double times) {
#ifdef PARLEY_BENCH_READERWRITERQUEUE
  return {{"moodycamel spinning queue", moodycamel_spinning<Size>, times}};
#else
  return {};
#endif
}

}  // namespace

std::vector<bench_case> pipes() {
  const std::string rate = "M/s";
  const measure limit = [] { return 0.6; };
  return {
      {"64 B, may sleep", rate, better::more, ours<64>(wait_mode::adaptive),
       sleeping_peers<64>(12, 3)},
      {"8 B, may sleep", rate, better::more, ours<8>(wait_mode::adaptive),
       sleeping_peers<8>(8, 1.5)},
      {"8 B, may sleep, read by pop_n", rate, better::more,
       ours<8>(wait_mode::adaptive, reading::by_pop_n), sleeping_peers<8>(8, 1.5)},
      {"64 B, batches of 50, may sleep",
       rate,
       better::more,
       ours_batched<64>(),
       {{"libzmq inproc PAIR", libzmq<64>, {}}}},
      {"64 B, spinning", rate, better::more, ours<64>(wait_mode::spin), spinning_peers<64>(0.9)},
      {"8 B, spinning", rate, better::more, ours<8>(wait_mode::spin), spinning_peers<8>(0.7)},
      {"8 B, spinning, read by pop_n", rate, better::more,
       ours<8>(wait_mode::spin, reading::by_pop_n), spinning_peers<8>(0.7)},
      {"1 KiB with ownership",
       rate,
       better::more,
       ours_1_kib,
       {{"libzmq inproc PAIR", libzmq_1_kib, 2.5}}},
      many(2),
      many(3),
      many(4),
      {"8 B ping-pong, both awake",
       "us",
       better::less,
       ours_ping_pong,
       {{"the limit of 0.6 us", limit, 1}, {"libzmq inproc PAIR", libzmq_ping_pong, {}}}},
  };
}

}  // namespace parley::bench
