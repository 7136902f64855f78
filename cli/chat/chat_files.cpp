// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_files.hpp"

#include "chat/visible_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

namespace {

constexpr std::size_t bar_columns = 12;
constexpr std::size_t name_columns = 24;

std::string name_of(const chat_files::entry& each) {
  return visible(each.file.name, name_columns) + (each.file.is_ours ? " to " : " from ") +
         each.label;
}

bool is_theirs_to_answer(const chat_files::entry& each) {
  return each.is_open && !each.file.is_ours;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr std::array units{"bytes", "kB", "MB", "GB", "TB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1000 && unit + 1 < units.size()) {
    size /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
  return text.data();
}

std::uint64_t percent(const parley::peer_file& file) {
  return file.size == 0 ? 100
                        : static_cast<std::uint64_t>(static_cast<double>(file.done) * 100 /
                                                     static_cast<double>(file.size));
}

chat_files::entry& chat_files::add(std::uint64_t number, entry made) {
  return all_.insert_or_assign(number, std::move(made)).first->second;
}

chat_files::entry* chat_files::find(std::uint64_t number) {
  const auto found = all_.find(number);
  return found == all_.end() ? nullptr : &found->second;
}

std::optional<std::uint64_t> chat_files::meant(std::string_view typed, bool is_offer,
                                               std::string& mistake) const {
  std::vector<std::uint64_t> some;
  std::string choice;
  for (const auto& [number, each] : all_) {
    if (!is_offer || is_theirs_to_answer(each)) {
      some.push_back(number);
      choice += (choice.empty() ? "" : ", ") + std::to_string(number) + " (" +
                visible(each.file.name, name_columns) + ")";
    }
  }
  std::uint64_t number = 0;
  const auto* const end = typed.data() + typed.size();
  const bool is_number = !typed.empty() && std::from_chars(typed.data(), end, number).ptr == end;
  if (some.empty()) {
    mistake = is_offer ? "nobody offers a file" : "no file is offered or under way";
  } else if (typed.empty() && some.size() == 1) {
    return some.front();
  } else if (is_number && std::ranges::find(some, number) != some.end()) {
    return number;
  } else {
    mistake = "which of these? " + choice;
  }
  return std::nullopt;
}

bool chat_files::is_busy() const {
  return std::ranges::any_of(all_,
                             [](const auto& each) { return !is_theirs_to_answer(each.second); });
}

std::string chat_files::awaited() const {
  std::string all;
  for (const auto& [number, each] : all_) {
    if (!is_theirs_to_answer(each)) {
      all += (all.empty() ? "" : ", ") + name_of(each);
    }
  }
  return all;
}

std::uint64_t chat_files::moves() const {
  std::uint64_t sum = 0;
  for (const auto& [number, each] : all_) {
    sum += number + each.file.done + (each.is_open ? 0 : 1);
  }
  return sum;
}

std::string chat_files::status() const {
  std::string all;
  for (const auto& [number, each] : all_) {
    if (each.is_open) {
      continue;
    }
    const std::uint64_t done = percent(each.file);
    std::string bar(done * bar_columns / 100, '#');
    bar.resize(bar_columns, '-');
    all += (all.empty() ? "" : "   ") + name_of(each) + " [" + bar + "] " + std::to_string(done) +
           " %";
  }
  return all;
}
