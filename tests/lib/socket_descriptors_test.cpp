// SPDX-License-Identifier: MPL-2.0
//
// Sockets when the process has no descriptor left in the middle of something: the call fails, and
// works when it is made again. In children, each with a limit of its own.
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::code_of;

namespace {

// Catch2's words end the child with its destructors, which may be what hangs.
void expect(bool held, const char* what) {
  if (!held) {
    throw std::runtime_error{what};
  }
}

// So many more for this process, as long as it lives.
class descriptors_left {
 public:
  explicit descriptors_left(int count) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    int free = ::dup(STDERR_FILENO);
    for (; is_open(free + 1); free = ::dup(STDERR_FILENO)) {  // leaves no gaps below
    }
    ::close(free);
    const rlimit few{static_cast<rlim_t>(free + count), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~descriptors_left() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  descriptors_left(const descriptors_left&) = delete;
  descriptors_left& operator=(const descriptors_left&) = delete;

 private:
  static bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

  rlimit before_{};
};

// With none left, with one, and so on, until action goes well; then_check follows each time. Each
// in a process of its own, since what goes wrong may hang.
template<class Prepare, class Action, class Check>
void at_each_failure(Prepare prepare, Action action, Check then_check) {
  if (!support::may_fork) {
    return;
  }
  bool failed = true;
  int failures = 0;
  for (int count = 0; failed; ++count) {
    INFO(count << " descriptors left");
    support::child one{[&](const support::child::line& line) {
      // libzmq ends the program where it has no descriptor for its own threads.
      context owner;
      socket started{owner, socket_kind::pair};
      static_cast<void>(started.native());
      auto stage = prepare(owner);
      bool went_well = true;
      try {
        const descriptors_left few{count};
        action(owner, stage);
      } catch (const error&) {
        went_well = false;
      }
      then_check(owner, stage);
      line.say(went_well ? "well" : "failed");
    }};
    std::string answer = "hangs";
    CHECK_NOTHROW(answer = one.hear());
    failed = answer == "failed";
    failures += failed ? 1 : 0;
    CHECK(one.finish() == 0);
  }
  CHECK(failures > 0);
}

// Tells of a message by each of the endpoints.
void expect_news(context& owner, socket& pull, const std::string& where) {
  const int fd = pull.fd();
  expect(!pull.ready().receive, "there is a message before any was sent");
  socket push{owner, socket_kind::push};
  push.connect(where);
  push.send(message("news"));
  do {
    pollfd item{fd, POLLIN, 0};
    expect(::poll(&item, 1, 10'000) == 1, "the descriptor does not tell of a message");
  } while (!pull.ready().receive);
  expect(pull.try_receive().has_value(), "the message does not come");
}

socket pull_at(context& owner, const std::string& where) {
  socket made{owner, socket_kind::pull};
  made.bind(where);
  return made;
}

}  // namespace

TEST_CASE("a descriptor that could not be made whole is made anew") {
  at_each_failure([](context& owner) { return pull_at(owner, "pipe://fd"); },
                  [](context&, socket& pull) { static_cast<void>(pull.fd()); },
                  [](context& owner, socket& pull) { expect_news(owner, pull, "pipe://fd"); });
}

TEST_CASE("a socket whose descriptor could not be made is used without one") {
  at_each_failure([](context& owner) { return pull_at(owner, "pipe://fd"); },
                  [](context&, socket& pull) {
                    try {
                      static_cast<void>(pull.fd());
                    } catch (const error&) {
                      expect(code_of([&] { static_cast<void>(pull.try_receive()); }) == errc{},
                             "a look at what there is needs a descriptor");
                      throw;
                    }
                  },
                  [](context&, socket&) {});
}

TEST_CASE("a socket that could not be given pipes beside libzmq is given them later") {
  at_each_failure(
      [](context& owner) {
        socket pull = pull_at(owner, "inproc://first");
        static_cast<void>(pull.fd());
        return pull;
      },
      [](context&, socket& pull) { pull.bind("pipe://later"); },
      [](context& owner, socket& pull) {
        try {
          pull.unbind("pipe://later");
        } catch (const error&) {
          // It was not bound.
        }
        pull.bind("pipe://later");
        expect_news(owner, pull, "pipe://later");
        expect_news(owner, pull, "inproc://first");
      });
}

TEST_CASE("a socket that could not be given libzmq beside pipes is given it later") {
  const bool is_watched = GENERATE(true, false);
  at_each_failure(
      [&](context& owner) {
        socket pull = pull_at(owner, "pipe://first");
        if (is_watched) {
          static_cast<void>(pull.fd());
        }
        return pull;
      },
      [](context&, socket& pull) { pull.connect("inproc://later"); },
      [](context& owner, socket& pull) {
        pull.bind("inproc://second");
        expect_news(owner, pull, "pipe://first");
        expect_news(owner, pull, "inproc://second");
      });
}

TEST_CASE("a monitor that could not be read does not hold up what it was to watch") {
  at_each_failure(
      [](context& owner) {
        socket pull{owner, socket_kind::pull};
        static_cast<void>(pull.native());
        return pull;
      },
      [](context& owner, socket& pull) {
        const monitor watch{owner, pull};
      },
      [](context&, socket& pull) { pull.bind("tcp://127.0.0.1:0"); });
}
