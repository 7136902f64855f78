// SPDX-License-Identifier: MPL-2.0
//
// What a command runs in: a context that SIGINT, SIGTERM, or the end of whoever reads our stdout
// shuts down, so that every wait of the command ends with parley::closed.
//
// Threads: made and used by the main thread, before any other is started: these inherit its signal
// mask. A watcher thread does the rest. A command that does not end within a second after a signal
// (it may still be handing over messages) is ended by it.
#pragma once

#include "exit_code.hpp"

#include <parley/context.hpp>
#include <parley/peers.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

class runtime {
 public:
  runtime();
  ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  [[nodiscard]] parley::context& context() { return *context_; }

  // From now on service:NAME is somebody on the network. Does nothing the second time. Returns
  // where it is a seed for others, if it begins to be.
  std::optional<parley::endpoint> look_for_names(const parley::peers_options& where);

  // From now on the command is over when nobody reads stdout any more, not at the next write only.
  void watch_stdout();

  // Waits until messages that were sent are handed over, each socket for its linger time at most.
  // Requires: the command's own sockets and patterns are gone.
  void finish();

  // While it lives, stopping means this instead: what has to say goodbye cannot do so in a context
  // that was shut down.
  class goodbye {
   public:
    goodbye(runtime& of, std::function<void()> say);
    ~goodbye();
    goodbye(const goodbye&) = delete;
    goodbye& operator=(const goodbye&) = delete;

   private:
    runtime& of_;
  };

  // Waits for the end that a signal brings.
  void wait_until_stopped() const;
  // Readable from the moment that the command has to end.
  [[nodiscard]] int stop_fd() const noexcept { return stop_fd_; }

  // The command has no end of its own: being stopped is the proper way for it to end.
  void set_endless() noexcept { endless_ = true; }
  // What a command that was stopped comes to.
  [[nodiscard]] exit_code stopped_code() const noexcept;

 private:
  void watch();
  void stop() noexcept;

  std::mutex mutex_;  // guards these two against the watcher
  std::optional<parley::context> context_;
  std::optional<parley::peers> names_;
  std::function<void()> goodbye_;
  std::atomic<bool> endless_{false};
  std::atomic<int> signal_{0};
  std::atomic<bool> watches_stdout_{false};
  int signal_fd_;
  int stop_fd_;
  int nudge_fd_;  // tells the watcher to look again, or to quit
  std::atomic<bool> quit_{false};
  std::thread watcher_;
};
