// SPDX-License-Identifier: MPL-2.0
//
// A thread that makes a call that waits, and signals that wake it meanwhile.
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): csignal has no sigaction
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace parley::support {

// SIGUSR1 has a handler that counts, and lets no system call go on by itself. As a program has one
// handler, there is one of these at a time.
class handled_signals {
 public:
  handled_signals() {
    sem_init(&count_, 0, 0);
    struct sigaction counting {};
    counting.sa_handler = [](int) { sem_post(&count_); };
    sigaction(SIGUSR1, &counting, &before_);
  }
  ~handled_signals() { sigaction(SIGUSR1, &before_, nullptr); }
  handled_signals(const handled_signals&) = delete;
  handled_signals& operator=(const handled_signals&) = delete;

  // Sends one, and returns when it was handled.
  void send(pthread_t to) {
    pthread_kill(to, SIGUSR1);
    while (sem_wait(&count_) != 0) {
    }
  }

 private:
  inline static sem_t count_{};
  struct sigaction before_ {};
};

// Each time the thread that made this sleeps, it gets a signal, five times; then another thread
// does what the sleeper waits for. The destructor waits for that.
class woken_by_signals {
 public:
  explicit woken_by_signals(std::function<void()> then)
      : other_{[this, sleeper = pthread_self(), task = gettid(), then = std::move(then)] {
          for (int index = 0; index < 5; ++index) {
            while (!is_asleep(task)) {
              std::this_thread::yield();
            }
            signals_.send(sleeper);
          }
          then();
        }} {}
  ~woken_by_signals() { other_.join(); }
  woken_by_signals(const woken_by_signals&) = delete;
  woken_by_signals& operator=(const woken_by_signals&) = delete;

 private:
  static bool is_asleep(pid_t task) {
    std::ifstream told{"/proc/self/task/" + std::to_string(task) + "/stat"};
    std::string number;
    std::string name;  // of this program; it has no space in it
    char state = 0;
    told >> number >> name >> state;
    return state == 'S';
  }

  handled_signals signals_;
  std::thread other_;
};

}  // namespace parley::support
