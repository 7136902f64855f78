// SPDX-License-Identifier: MPL-2.0
#include "placeholders.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <optional>

namespace {

constexpr std::size_t longest = 32;  // of what is in braces, and these
constexpr std::size_t usual_random = 16;
constexpr std::uint64_t most_random = 64 << 20;

// The N of {word:N}: `none` without one; nothing where it is no number from 1 to most.
std::optional<std::uint64_t> amount(std::string_view text, std::uint64_t none, std::uint64_t most) {
  if (text.empty()) {
    return none;
  }
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, failure] = std::from_chars(text.data() + 1, last, value);
  const bool is_good = text.front() == ':' && failure == std::errc{} && end == last;
  return is_good && value >= 1 && value <= most ? std::optional{value} : std::nullopt;
}

std::string time_text() {
  using namespace std::chrono;
  const auto now = floor<microseconds>(system_clock::now());
  const auto second = floor<seconds>(now);
  const std::time_t when = system_clock::to_time_t(second);
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char date[32];
  const std::size_t size = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char fraction[16];
  static_cast<void>(
      std::snprintf(fraction, sizeof fraction, ".%06dZ", static_cast<int>((now - second).count())));
  return std::string{date, size} + fraction;
}

}  // namespace

std::string placeholders::fill(std::string_view text, std::uint64_t counter) {
  std::string filled;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find('{'), text.size());
    filled += text.substr(0, open);
    text.remove_prefix(open);
    const std::size_t close = text.substr(0, longest).find('}');
    if (close != std::string_view::npos && append(filled, text.substr(1, close - 1), counter)) {
      text.remove_prefix(close + 1);
    } else if (!text.empty()) {
      filled += '{';
      text.remove_prefix(1);
    }
  }
  return filled;
}

// False: it is none.
bool placeholders::append(std::string& to, std::string_view word, std::uint64_t counter) {
  constexpr std::string_view counter_word{"counter"};
  constexpr std::string_view random_word{"random"};
  if (word == "time") {
    to += time_text();
    return true;
  }
  if (word.starts_with(counter_word)) {
    const auto around = amount(word.substr(counter_word.size()), UINT64_MAX, UINT64_MAX);
    if (around) {
      to += std::to_string((counter - 1) % *around + 1);
    }
    return around.has_value();
  }
  if (word.starts_with(random_word)) {
    constexpr std::string_view alphabet{"abcdefghijklmnopqrstuvwxyz0123456789"};
    const auto size = amount(word.substr(random_word.size()), usual_random, most_random);
    std::uniform_int_distribution<std::size_t> any{0, alphabet.size() - 1};
    for (std::uint64_t count = 0; size && count < *size; ++count) {
      to += alphabet[any(random_)];
    }
    return size.has_value();
  }
  return false;
}
