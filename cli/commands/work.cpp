// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "receive.hpp"
#include "shell_command.hpp"

#include <parley/error.hpp>
#include <parley/pipeline.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct work_args {
  places_arg places;
  std::string exec;
  unsigned jobs = 1;
  count_arg count;
  timeout_arg exec_timeout;
  std::string name;
  std::string once;
  bool plain = false;
  curve_arg curve;
  bool json = false;
};

// Runs the command for tasks, on several threads.
class crew {
 public:
  crew(parley::worker& worker, const work_args& args, const output& out, int stop_fd)
      : worker_{worker},
        args_{args},
        out_{out},
        command_{args.exec, args.exec_timeout},
        stop_fd_{stop_fd} {}

  // Until the worker is closed, or has done as many tasks as were asked for.
  void work() {
    while (!args_.count || begun_.fetch_add(1) < *args_.count) {
      try {
        do_one(worker_.receive());
      } catch (const parley::closed&) {
        return;
      }
    }
  }

 private:
  void do_one(parley::task&& job) {
    const std::vector<std::string> environment{"PARLEY_TASK=" + std::to_string(job.id().number),
                                               "PARLEY_ATTEMPT=" + std::to_string(job.attempt()),
                                               "PARLEY_KEY=" + std::string{job.key()}};
    try {
      const command_answer answer =
          command_.run(job.body.view(), stop_fd_, job.stop_token(), environment);
      tell(job, answer);
      if (answer.failure) {
        job.fail(*answer.failure);
      } else {
        job.done(answer.text);
      }
    } catch (const parley::cancelled&) {
      job.give_back();  // if its source does not know already
    } catch (const parley::closed&) {
      job.give_back();
      throw;
    }
  }

  void tell(const parley::task& job, const command_answer& answer) {
    const std::lock_guard lock{telling_};
    if (out_.is_json()) {
      json_object line{{"task", job.id().number}, {"attempt", job.attempt()}};
      if (answer.failure) {
        put(line, "failure", *answer.failure);
      } else {
        put(line, "result", answer.text);
      }
      out_.line(line);
    } else if (answer.failure) {
      say("parley: task " + std::to_string(job.id().number) + " failed: " + *answer.failure);
    }
  }

  parley::worker& worker_;
  const work_args& args_;
  const output& out_;
  const shell_command command_;
  const int stop_fd_;
  std::atomic<std::uint64_t> begun_{0};
  std::mutex telling_;
};

exit_code work(runtime& run, const work_args& args) {
  if (!args.count) {
    run.set_endless();
  }
  const output out{args.json};
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  // The command's own limit ends it; the lease is for what is worse.
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(args.exec_timeout.get());
  parley::worker worker{run.context(),
                        {.name = args.name,
                         .credit = args.jobs,
                         .lease = limit + std::chrono::seconds{10},
                         .once = args.once,
                         .linger = to_say_goodbye,
                         .curve = args.curve.get()}};
  const runtime::goodbye leaving{run, [&worker] { worker.close(); }};
  const auto watch = handshake_watch::listening_to(worker, args.curve);
  take_places(worker, args.places.parse(run), args.plain,
              [&](const parley::endpoint& at) { out.bound(at); });
  crew all{worker, args, out, run.stop_fd()};
  std::vector<std::jthread> others;
  for (unsigned count = 1; count < args.jobs; ++count) {
    others.emplace_back([&all] { all.work(); });
  }
  all.work();
  others.clear();
  return args.count ? exit_code::done : run.stopped_code();
}

}  // namespace

action add_work(CLI::App& command) {
  auto args = std::make_shared<work_args>();
  args->places.add_to(command, side::connect);
  command
      .add_option("--exec", args->exec,
                  "run this command of the shell for each task, which is on its stdin; the task is "
                  "done when it ends with 0, and its stdout is the result. It finds "
                  "PARLEY_TASK, PARLEY_ATTEMPT and PARLEY_KEY in its environment")
      ->option_text("COMMAND")
      ->required();
  command.add_option("-j,--jobs", args->jobs, "so many at once")
      ->option_text("N [1]")
      ->check(CLI::Range(1, 1000));
  add_count(command, args->count, "end after N tasks; without it, when interrupted");
  args->exec_timeout.add_to(command, "--exec-timeout",
                            "the longest that the command may take; then it is killed, and the "
                            "task has failed",
                            60);
  command.add_option("--name", args->name, "also take tasks that were pushed for this name")
      ->option_text("NAME");
  command
      .add_option("--once", args->once,
                  "remember in this file which tasks were done, and do none of them again")
      ->option_text("PATH");
  args->curve.add_to(command);
  add_plain(command, args->plain, "PUSH");
  add_json(command, args->json, "print what became of each task as a JSON object on a line");
  add_example(command, "parley work tcp://localhost:5557 -j 4 --exec 'optipng \"$(cat)\"'");
  return [args](runtime& run) { return work(run, *args); };
}
