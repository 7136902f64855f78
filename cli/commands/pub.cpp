// SPDX-License-Identifier: MPL-2.0
#include "commands.hpp"
#include "feed_args.hpp"
#include "feed_report.hpp"
#include "placeholders.hpp"
#include "send.hpp"

#include <parley/error.hpp>
#include <parley/pub_sub.hpp>

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace {

using clock_type = std::chrono::steady_clock;

struct pub_args : send_args {
  std::string topic;
  std::size_t subscribers = 1;
  feed_memory_arg memory;
  bool is_urgent = false;
  bool is_template = false;
  duration_arg every;
  stats_arg stats;
};

// Throws parley::closed when the program has to end before.
void wait_until(clock_type::time_point due, int stop_fd) {
  for (auto left = due - clock_type::now(); left > left.zero(); left = due - clock_type::now()) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{static_cast<time_t>(seconds.count()),
                         static_cast<long>((left - seconds).count())};
    pollfd waited{stop_fd, POLLIN, 0};
    if (::ppoll(&waited, 1, &limit, nullptr) > 0) {
      throw parley::closed{"wait for the next message's time"};
    }
  }
}

class publishing {
 public:
  publishing(runtime& run, const pub_args& args, parley::publisher& publisher)
      : run_{run}, args_{args}, publisher_{publisher} {}

  [[nodiscard]] bool wait_for_subscribers() {
    // Where the topics vary: for those of any.
    const bool varies = args_.is_template && filling_.fill(args_.topic, 1) != args_.topic;
    return publisher_.wait_for_subscribers(args_.subscribers, args_.timeout.get(),
                                           varies ? std::string{} : args_.topic);
  }

  void publish_all(input& messages) {
    auto due = clock_type::now();
    for (std::uint64_t number = 1; auto body = messages.next(); ++number) {
      wait_until(due, run_.stop_fd());
      publish(*body, number);
      // Who is late does not hurry afterwards.
      due = std::max(due + args_.every.get(), clock_type::now());
    }
  }

 private:
  void publish(const parley::frame& body, std::uint64_t number) {
    if (args_.is_template) {
      send(filling_.fill(args_.topic, number), parley::frame{filling_.fill(body.view(), number)});
    } else {
      send(args_.topic, body);
    }
  }

  void send(const std::string& topic, const parley::frame& body) {
    args_.is_urgent ? publisher_.publish_urgent(topic, body) : publisher_.publish(topic, body);
  }

  runtime& run_;
  const pub_args& args_;
  parley::publisher& publisher_;
  placeholders filling_;
};

parley::publisher_options options_of(const pub_args& args) {
  parley::publisher_options chosen = args.memory.get();
  chosen.max_wait = args.timeout.as_linger();
  chosen.linger = args.timeout.as_linger();
  chosen.curve = args.curve.get();
  return chosen;
}

exit_code publish(runtime& run, const pub_args& args, input& messages,
                  parley::publisher& publisher) {
  publishing work{run, args, publisher};
  if (!work.wait_for_subscribers()) {
    say("parley: fewer than " + std::to_string(args.subscribers) + " subscribed to '" + args.topic +
        "' at " + args.places.str() + " within " + args.timeout.str() +
        " (--wait 0 publishes without any)");
    return exit_code::timed_out;
  }
  work.publish_all(messages);
  if (!publisher.wait_until_delivered(args.timeout.get())) {
    say("parley: not every subscriber at " + args.places.str() +
        " had received everything within " + args.timeout.str());
    run.context().shutdown();  // no second wait for them
    return exit_code::timed_out;
  }
  return exit_code::done;
}

exit_code pub(runtime& run, const pub_args& args) {
  input messages{args.input, run.stop_fd()};
  if (messages.is_endless()) {
    run.set_endless();
  }
  {
    const output out{args.json};
    const auto friends = args.curve.list(run.context(), args.places.has_keys());
    parley::publisher publisher{run.context(), options_of(args)};
    const handshake_watch watch{args.curve, publisher};
    take_places(publisher, args.places.parse(run),
                [&](const parley::endpoint& at) { out.bound(at); });
    const exit_code code = args.stats.after([&] { return publish(run, args, messages, publisher); },
                                            [&] { report(out, publisher); });
    if (code != exit_code::done) {
      return code;
    }
  }
  return hand_over(run, args);
}

}  // namespace

action add_pub(CLI::App& command) {
  auto args = std::make_shared<pub_args>();
  args->places.add_to(command, side::bind);
  command.add_option("TOPIC", args->topic, "of all messages")->required()->option_text(" ");
  args->input.add_to(command, false);
  command.add_option("--wait", args->subscribers, "begin once N have subscribed to TOPIC")
      ->option_text("N [1]");
  args->every
      .add_to(command, "--every",
              "leave so much time between messages; a BODY is repeated, up to --count, else until "
              "interrupted")
      ->each([input = &args->input](const std::string&) { input->is_repeated = true; });
  command.add_flag("--template", args->is_template,
                   "fill in {counter}, {counter:N}, {time}, {random} and {random:N}, in TOPIC too");
  command.add_flag("--urgent", args->is_urgent, "overtake what is not urgent and still waits");
  args->memory.add_to(command);
  args->timeout.add_to(command,
                       "the longest wait for subscribers, and until they have received everything");
  args->stats.add_to(command);
  args->curve.add_to(command);
  add_json(command, args->json, "announce what is bound as a JSON object on stdout");
  add_example(command,
              "parley pub tcp://*:5556 prices.eurusd 1.0842\n"
              "  tail -f log | parley pub tcp://*:5556 log --history 1000 --wait 0\n"
              "  parley pub tcp://*:5556 'sensor.{counter:5}' '{time} {random:8}' --template "
              "--every 100ms");
  return [args](runtime& run) { return pub(run, *args); };
}
