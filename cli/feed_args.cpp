// SPDX-License-Identifier: MPL-2.0
#include "feed_args.hpp"

#include <array>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>

namespace {

using std::chrono::microseconds;

constexpr double longest_seconds = 365.0 * 24 * 3600;

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::uint64_t parse_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) {
    throw CLI::ValidationError{"'" + text + "' is no number of a message"};
  }
  return value;
}

}  // namespace

microseconds parse_duration(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, double>, 6> units{
      {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"", 1}}};
  const std::string_view all{text};
  const std::string_view number =
      all.substr(0, std::min(all.find_first_not_of("0123456789."), all.size()));
  const std::string_view unit = all.substr(number.size());
  double value = 0;
  const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), value);
  const bool is_read =
      !number.empty() && failure == std::errc{} && end == number.data() + number.size();
  for (const auto& [name, seconds] : units) {
    if (is_read && name == unit && value * seconds <= longest_seconds) {
      return std::chrono::duration_cast<microseconds>(
          std::chrono::duration<double>{value * seconds});
    }
  }
  throw CLI::ValidationError{
      "'" + text + "' is no duration (a number of seconds, or 200us, 10ms, 2.5s, 5m, 1h)"};
}

CLI::Option* duration_arg::add_to(CLI::App& command, const std::string& name,
                                  const std::string& meaning) {
  const auto take = [this](const std::string& text) {
    value_ = parse_duration(text);
    is_set_ = true;
  };
  return command.add_option_function<std::string>(name, take, meaning)->option_text("DURATION");
}

void feed_memory_arg::add_to(CLI::App& command) {
  using parley::lag_policy;
  command
      .add_option("--history", options_.history,
                  "remember the last N messages, for subscribers that ask for them")
      ->option_text("N");
  command.add_flag("--last", options_.last_value,
                   "remember the last message of each topic, for subscribers that ask for it");
  const std::map<std::string, lag_policy> policies{{"drop-oldest", lag_policy::drop_oldest},
                                                   {"drop-newest", lag_policy::drop_newest},
                                                   {"newest", lag_policy::newest_by_topic},
                                                   {"wait", lag_policy::wait},
                                                   {"cut-off", lag_policy::cut_off}};
  command
      .add_option("--when-lagging", options_.when_lagging,
                  "what happens when a subscriber has as many messages before it as --limit says: "
                  "drop-oldest, drop-newest, newest (only the newest of each topic, as soon as it "
                  "lags), wait (publish no more until it has room) or cut-off")
      ->option_text("POLICY [drop-oldest]")
      ->transform(CLI::CheckedTransformer{policies}.description(""));
  command
      .add_option("--limit", options_.limit, "keep up to N messages for each subscriber that lags")
      ->option_text("N [100000]")
      ->check(CLI::Range(1, 1'000'000'000));
  delay_.add_to(command, "--delay",
                "let a message wait so long for others, up to 1s, so that more leave together");
}

parley::publisher_options feed_memory_arg::get() const {
  parley::publisher_options chosen = options_;
  chosen.batch_delay = delay_.get();
  return chosen;
}

void feed_start_arg::add_to(CLI::App& command) {
  using parley::feed_start;
  CLI::Option* last = command.add_flag_callback(
      "--last", [this] { start_ = feed_start::last_values(); },
      "begin with the last message of each topic, as far as the publisher remembers");
  CLI::Option* history = command.add_flag_callback(
      "--history", [this] { start_ = feed_start::history(); },
      "begin with all that the publisher remembers");
  const auto take = [this](const std::string& text) {
    start_ = is_number(text) ? feed_start::since(parse_number(text))
                             : feed_start::since(parse_duration(text));
  };
  CLI::Option* since =
      command
          .add_option_function<std::string>(
              "--since", take,
              "begin with the message of that number, or with what was published so long ago (30s, "
              "5m, 1h)")
          ->option_text("N|DURATION");
  last->excludes(history)->excludes(since);
  history->excludes(since);
}
