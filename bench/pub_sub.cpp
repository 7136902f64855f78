// SPDX-License-Identifier: MPL-2.0
//
// Feeds against libzmq's PUB and SUB by its C interface, and against nng's. On neither side is a
// message lost: our publisher waits for who lags, libzmq's too (ZMQ_XPUB_NODROP), nng's is never
// ahead of its subscriber by more than its queue. Ours recovers, acknowledges and keeps books.
#include <parley/pub_sub.hpp>

#ifdef PARLEY_BENCH_NNG
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "raw_socket.hpp"

namespace parley::bench {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto patience = 30s;

struct feed {
  std::string where;
  std::size_t size = 64;
  std::size_t topics = 1;
  std::size_t readers = 1;
  std::chrono::microseconds delay{0};
  std::size_t prefixes = 1;  // of each reader; one of them matches
};

std::size_t count_for(const feed& what, std::size_t factor) {
  return std::clamp<std::size_t>(factor * 200'000'000 / (what.size + 400) / what.readers, 300,
                                 factor * 500'000 / what.readers);
}

double rate(std::size_t delivered, double seconds) {
  return static_cast<double>(delivered) / seconds / 1e6;
}

std::vector<std::string> topics_of(const feed& what) {
  std::vector<std::string> topics;
  for (std::size_t number = 0; number < what.topics; ++number) {
    topics.push_back("topic." + std::to_string(number));
  }
  return topics;
}

std::vector<std::string> prefixes_of(const feed& what) {
  std::vector<std::string> prefixes{"topic."};
  while (prefixes.size() < what.prefixes) {
    prefixes.push_back("other." + std::to_string(prefixes.size()));
  }
  return prefixes;
}

// Delivered messages a second, all readers together. Factor: how many times as many messages.
double ours(const feed& what, std::size_t factor = 1) {
  context owner;
  publisher from{
      owner, {.when_lagging = lag_policy::wait, .max_wait = patience, .batch_delay = what.delay}};
  const endpoint bound = from.bind(what.where);
  std::vector<std::unique_ptr<subscriber>> readers;
  for (std::size_t number = 0; number < what.readers; ++number) {
    readers.push_back(std::make_unique<subscriber>(owner, bound, prefixes_of(what)));
  }
  require(from.wait_for_subscribers(what.readers, patience, "topic.0"), "nobody subscribed");
  const std::size_t count = count_for(what, factor);
  const std::vector<std::string> topics = topics_of(what);
  const frame body{std::string(what.size, 'x')};
  const auto read = [&](std::size_t number) {
    for (std::size_t i = 0; i < count; ++i) {
      require(readers[number]->receive().body.size() == what.size, "a message changed its size");
    }
  };
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t i = 0; i < count; ++i) {
          from.publish(topics[i % topics.size()], body);
        }
      },
      [&] {
        std::vector<std::thread> others;
        for (std::size_t number = 1; number < readers.size(); ++number) {
          others.emplace_back(read, number);
        }
        read(0);
        for (std::thread& each : others) {
          each.join();
        }
      });
  return rate(count * what.readers, seconds);
}

void await_subscriptions(raw_socket& xpub, std::size_t count) {
  for (; count > 0; --count) {
    static_cast<void>(xpub.receive());
  }
}

double raw(const feed& what) {
  raw_context owner;
  raw_socket xpub{owner.handle, ZMQ_XPUB};
  const int yes = 1;
  zmq_setsockopt(xpub.handle(), ZMQ_XPUB_NODROP, &yes, sizeof yes);
  zmq_setsockopt(xpub.handle(), ZMQ_XPUB_VERBOSE, &yes, sizeof yes);
  const std::string bound = xpub.bind(what.where);
  std::vector<std::unique_ptr<raw_socket>> readers;
  for (std::size_t number = 0; number < what.readers; ++number) {
    readers.push_back(std::make_unique<raw_socket>(owner.handle, ZMQ_SUB));
    const int no_limit = 0;  // else libzmq forgets subscriptions when it connects
    zmq_setsockopt(readers.back()->handle(), ZMQ_SNDHWM, &no_limit, sizeof no_limit);
    for (const std::string& each : prefixes_of(what)) {
      zmq_setsockopt(readers.back()->handle(), ZMQ_SUBSCRIBE, each.data(), each.size());
    }
    readers.back()->connect(bound);
  }
  await_subscriptions(xpub, what.readers * what.prefixes);
  const std::size_t count = count_for(what, 1);
  const std::vector<std::string> topics = topics_of(what);
  const auto read = [&](std::size_t number) {
    for (std::size_t i = 0; i < count; ++i) {
      static_cast<void>(readers[number]->receive());
      require(readers[number]->receive() == what.size, "a message changed its size");
    }
  };
  const double seconds = time_two_threads(
      [&] {
        zmq_msg_t part;
        for (std::size_t i = 0; i < count; ++i) {
          const std::string& topic = topics[i % topics.size()];
          zmq_msg_init_size(&part, topic.size());
          std::memcpy(zmq_msg_data(&part), topic.data(), topic.size());
          xpub.send(part, ZMQ_SNDMORE);
          zmq_msg_init_size(&part, what.size);
          std::memset(zmq_msg_data(&part), 'x', what.size);
          xpub.send(part);
        }
      },
      [&] {
        std::vector<std::thread> others;
        for (std::size_t number = 1; number < readers.size(); ++number) {
          others.emplace_back(read, number);
        }
        read(0);
        for (std::thread& each : others) {
          each.join();
        }
      });
  return rate(count * what.readers, seconds);
}

#ifdef PARLEY_BENCH_NNG
double nng(const feed& what) {
  nng_socket pub;
  nng_socket sub;
  require(nng_pub0_open(&pub) == 0 && nng_sub0_open(&sub) == 0, "nng has no sockets");
  constexpr int queue = 8192;
  nng_socket_set_int(pub, NNG_OPT_SENDBUF, queue);
  nng_socket_set_int(sub, NNG_OPT_RECVBUF, queue);
  nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "topic.", 6);
  nng_listener at;
  require(nng_listen(pub, "tcp://127.0.0.1:0", &at, 0) == 0, "nng cannot listen");
  nng_sockaddr address;
  nng_listener_get_addr(at, NNG_OPT_LOCADDR, &address);
  const std::string where =
      "tcp://127.0.0.1:" + std::to_string(__builtin_bswap16(address.s_in.sa_port));
  require(nng_dial(sub, where.c_str(), nullptr, 0) == 0, "nng cannot dial");
  const std::string bytes = "topic.0" + std::string(what.size, 'x');
  // Its publisher does not say when somebody has subscribed.
  nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 10);
  const auto take = [&] {
    void* got = nullptr;
    std::size_t size = 0;
    if (nng_recv(sub, &got, &size, NNG_FLAG_ALLOC) != 0) {
      return false;
    }
    nng_free(got, size);
    return true;
  };
  do {
    nng_send(pub, const_cast<char*>(bytes.data()), bytes.size(), 0);
  } while (!take());
  while (take()) {
  }
  nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 30'000);
  const std::size_t count = count_for(what, 1);
  // nng drops what its subscriber is slow to take, so ours says how far it is, now and then.
  std::atomic<std::size_t> received{0};
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t i = 0; i < count; ++i) {
          for (std::size_t seen = received.load(); i - seen >= queue; seen = received.load()) {
            received.wait(seen);
          }
          nng_send(pub, const_cast<char*>(bytes.data()), bytes.size(), 0);
        }
      },
      [&] {
        for (std::size_t i = 1; i <= count; ++i) {
          require(take(), "nng lost a message");
          if (i % (queue / 8) == 0) {
            received.store(i);
            received.notify_one();
          }
        }
      });
  nng_close(sub);
  nng_close(pub);
  return rate(count, seconds);
}
#endif

constexpr std::size_t last_values = 10'000;

// Milliseconds until somebody who joins has the last value of each topic.
double ours_join() {
  context owner;
  publisher from{owner, {.last_value = true}};
  const endpoint bound = from.bind("tcp://127.0.0.1:0");
  for (std::size_t number = 0; number < last_values; ++number) {
    from.publish("topic." + std::to_string(number), std::string(64, 'x'));
  }
  require(from.wait_until_delivered(patience), "not all was published");
  const auto start = clock::now();
  subscriber late{owner, bound, {""}, {.start = feed_start::last_values()}};
  for (std::size_t number = 0; number < last_values; ++number) {
    require(late.receive().body.size() == 64, "a message changed its size");
  }
  return std::chrono::duration<double, std::milli>(clock::now() - start).count();
}

// As the guide's last value cache does: an XPUB that sends all it knows to who subscribes.
double raw_join() {
  raw_context owner;
  raw_socket xpub{owner.handle, ZMQ_XPUB};
  const int yes = 1;
  zmq_setsockopt(xpub.handle(), ZMQ_XPUB_NODROP, &yes, sizeof yes);
  const std::string bound = xpub.bind("tcp://127.0.0.1:*");
  std::vector<std::string> topics;
  for (std::size_t number = 0; number < last_values; ++number) {
    topics.push_back("topic." + std::to_string(number));
  }
  double taken = 0;
  time_two_threads(
      [&] {
        await_subscriptions(xpub, 1);
        zmq_msg_t part;
        for (const std::string& topic : topics) {
          zmq_msg_init_size(&part, topic.size());
          std::memcpy(zmq_msg_data(&part), topic.data(), topic.size());
          xpub.send(part, ZMQ_SNDMORE);
          xpub.send(std::string(64, 'x'));
        }
      },
      [&] {
        const auto start = clock::now();
        raw_socket late{owner.handle, ZMQ_SUB};
        zmq_setsockopt(late.handle(), ZMQ_SUBSCRIBE, "", 0);
        late.connect(bound);
        for (std::size_t number = 0; number < last_values; ++number) {
          static_cast<void>(late.receive());
          require(late.receive() == 64, "a message changed its size");
        }
        taken = std::chrono::duration<double, std::milli>(clock::now() - start).count();
      });
  return taken;
}

bench_case against_raw(const std::string& name, const feed& what, const std::string& there,
                       std::optional<double> target, std::size_t factor = 1) {
  feed theirs = what;
  theirs.where = there;
  return {name,
          "M/s",
          better::more,
          [=] { return ours(what, factor); },
          {{"raw libzmq", [=] { return raw(theirs); }, target}}};
}

}  // namespace

std::vector<bench_case> pub_sub() {
  const std::string tcp = "tcp://127.0.0.1:*";
  std::vector<bench_case> cases;
  const std::vector<std::pair<std::string, std::size_t>> sizes{
      {"16 B", 16}, {"64 B", 64}, {"1 KiB", 1024}, {"64 KiB", 65536}};
  for (const std::size_t readers : {1, 8}) {
    for (const auto& [name, size] : sizes) {
      const auto target = size == 64 ? std::optional{0.85} : std::nullopt;
      cases.push_back(against_raw("1 to " + std::to_string(readers) + " tcp " + name,
                                  {.where = tcp, .size = size, .readers = readers}, tcp, target,
                                  size <= 64 ? 2 : 1));
    }
  }
#ifdef PARLEY_BENCH_NNG
  cases[1].peers.push_back({"nng", [=] { return nng({.where = tcp}); }, std::nullopt});
#endif
  for (const std::size_t size : {16, 64}) {
    const std::string name = std::to_string(size) + " B";
    cases.push_back(against_raw("1 to 1 tcp " + name + " batching",
                                {.where = tcp, .size = size, .delay = 200us}, tcp, 3, 4));
    cases.push_back(against_raw("1 to 1 tcp " + name + " batching, 100 topics",
                                {.where = tcp, .size = size, .topics = 100, .delay = 200us}, tcp,
                                std::nullopt, 4));
  }
  cases.push_back(against_raw("1 to 1 pipe 64 B", {.where = "pipe://feed"}, "inproc://feed", 6, 8));
  for (const std::size_t prefixes : {1'000, 100'000}) {
    cases.push_back(against_raw("1 to 1 tcp 64 B, " + std::to_string(prefixes) + " prefixes",
                                {.where = tcp, .prefixes = prefixes}, tcp, std::nullopt, 2));
  }
  cases.push_back({"10,000 last values for a joiner, tcp",
                   "ms",
                   better::less,
                   ours_join,
                   {{"raw libzmq", raw_join, std::nullopt}}});
  return cases;
}

}  // namespace parley::bench
