// SPDX-License-Identifier: MPL-2.0
#include "progress_line.hpp"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace {

constexpr std::chrono::seconds before_the_first{1};
constexpr std::chrono::milliseconds between{200};
constexpr const char* to_line_start_and_clear = "\r\x1b[K";

void show(const std::string& text) {
  const std::string bytes = to_line_start_and_clear + text;
  static_cast<void>(!::write(STDERR_FILENO, bytes.data(), bytes.size()));
}

void run(const std::stop_token& stop, const std::function<std::string()>& text) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock{mutex};
  const auto is_over = [&](auto limit) {
    return changed.wait_for(lock, stop, limit, [] { return false; }) || stop.stop_requested();
  };
  if (is_over(before_the_first)) {
    return;
  }
  do {
    show(text());
  } while (!is_over(between));
  show({});
}

}  // namespace

progress_line::progress_line(std::function<std::string()> text) {
  if (::isatty(STDERR_FILENO) != 0) {
    thread_ =
        std::jthread{[text = std::move(text)](const std::stop_token& stop) { run(stop, text); }};
  }
}
