// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "feed_args.hpp"
#include "progress_line.hpp"
#include "send.hpp"

#include <parley/pipeline.hpp>
#include <parley/source_service.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace {

struct push_args : send_args {
  bool plain = false;
  parley::source_options source;
  std::string journal;
  parley::task_options each;
  duration_arg delay;
  duration_arg deadline;
  std::string manage;
};

std::chrono::milliseconds in_milliseconds(const duration_arg& given) {
  return std::chrono::ceil<std::chrono::milliseconds>(given.get());
}

std::string counted(std::uint64_t number, const std::string& noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string progress(const parley::source& of) {
  const parley::source_statistics now = of.statistics();
  const std::uint64_t over = now.done + now.failed + now.expired + now.dropped;
  std::string text = std::to_string(over) + "/" + std::to_string(now.accepted) + " done";
  if (now.failed > 0) {
    text += ", " + std::to_string(now.failed) + " of them failed";
  }
  return text + ", " + counted(of.worker_count(), "worker");
}

// What was accepted and will not be done; exit_code::done: nothing.
exit_code tell_rest(const parley::source& of, const push_args& args) {
  const parley::source_statistics end = of.statistics();
  exit_code code = exit_code::done;
  if (end.expired > 0) {
    say("parley: " + counted(end.expired, "task") + " expired: not begun before the deadline");
    code = exit_code::peer_error;
  }
  if (end.dead_letters > 0) {
    const auto first = of.dead_letters(1);
    say("parley: " + counted(end.dead_letters, "task") + " failed too often" +
        (first.empty() ? "" : "; the first: " + first.front().why));
    if (!args.journal.empty()) {
      say("parley: see 'parley queue list " + args.journal + "'");
    }
    code = exit_code::peer_error;
  }
  return code;
}

// Deals all out, and waits until they are done.
exit_code deal(parley::source& source, input& tasks, const push_args& args) {
  const progress_line line{[&source] { return progress(source); }};
  parley::task_options each = args.each;
  each.delay = in_milliseconds(args.delay);
  each.deadline = in_milliseconds(args.deadline);
  while (const auto body = tasks.next()) {
    if (!source.push_for(*body, args.timeout.get(), each)) {
      say("parley: there was no room for the next task at " + args.places.str() + " within " +
          args.timeout.str());
      return exit_code::timed_out;
    }
  }
  if (!source.wait_until_done(args.timeout.get())) {
    say("parley: not everything was done at " + args.places.str() + " within " +
        args.timeout.str());
    return exit_code::timed_out;
  }
  return exit_code::done;
}

exit_code push(runtime& run, const push_args& args) {
  input tasks{args.input, run.stop_fd()};
  exit_code code = exit_code::done;
  {
    const output out{args.json};
    const auto friends = args.curve.list(run.context(), args.places.has_keys());
    parley::source_options options = args.source;
    options.linger = args.timeout.as_linger();
    options.journal = args.journal;
    options.curve = args.curve.get();
    parley::source source{run.context(), options};
    const auto watch = handshake_watch::listening_to(source, args.curve);
    const auto announce = [&](const parley::endpoint& at) { out.bound(at); };
    take_places(source, args.places.parse(run), args.plain, announce);
    std::optional<parley::server> manager;
    if (!args.manage.empty()) {
      manager.emplace(run.context(), parley::server_options{.curve = args.curve.get()});
      offer(source, *manager);
      take_places(*manager, {place::parse(args.manage, side::bind)}, announce);
    }
    code = deal(source, tasks, args);
    if (code == exit_code::done) {
      code = tell_rest(source, args);
    }
  }
  const exit_code handed = hand_over(run, args);
  return code == exit_code::done ? handed : code;
}

void add_task_options(CLI::App& command, push_args& args) {
  command.add_option("--key", args.each.key, "tasks of one key are done one by one, in order")
      ->option_text("KEY");
  command.add_option("--to", args.each.to, "only for 'parley work --name NAME'")
      ->option_text("NAME");
  command.add_option("--priority", args.each.priority, "0 to 9; higher ones go first")
      ->option_text("N [0]")
      ->check(CLI::Range(0, 9));
  args.delay.add_to(command, "--delay", "not before so much time has passed");
  args.deadline.add_to(command, "--deadline",
                       "drop a task that no worker has begun by then; then exit with 4");
}

}  // namespace

action add_push(CLI::App& command) {
  auto args = std::make_shared<push_args>();
  args->places.add_to(command, side::bind);
  args->input.add_to(command, true);
  add_task_options(command, *args);
  command
      .add_option("--journal", args->journal,
                  "keep the tasks in this file until they are done; what an earlier run left there "
                  "is done too")
      ->option_text("PATH");
  command
      .add_option("--limit", args->source.limit, "read no more while so many tasks are not done")
      ->option_text("N [10000]")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000'000}));
  command
      .add_option("--attempts", args->source.attempts,
                  "a task that failed so often is given up; then exit with 4")
      ->option_text("N [5]")
      ->check(CLI::Range(1U, 1'000'000U));
  command
      .add_option("--manage", args->manage,
                  "while it runs, let 'parley queue' look in here, and call queue.statistics and "
                  "queue.workers; bound, unless connect: is before it")
      ->option_text("ENDPOINT");
  args->timeout.add_to(command, "the longest wait for room, and for what is still to be done");
  args->curve.add_to(command);
  add_plain(command, args->plain, "PULL");
  add_json(command, args->json, "announce what is bound as a JSON object on stdout");
  add_example(command, "ls *.png | parley push tcp://*:5557");
  return [args](runtime& run) { return push(run, *args); };
}
