// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_completion.hpp"

#include "chat/file_completion.hpp"
#include "chat/visible_text.hpp"

#include <algorithm>

namespace {

template<class Words>
chat_completion among(const Words& words, std::string_view begun, std::string_view behind) {
  chat_completion found{.begun = std::string{begun}, .behind = std::string{behind}};
  for (const auto& each : words) {
    if (folded(each).starts_with(folded(begun))) {
      found.words.emplace_back(each);
    }
  }
  std::ranges::sort(found.words);
  return found;
}

std::vector<std::string> labels(const chat_desk& desk) {
  std::vector<std::string> all;
  for (const auto& [id, who] : desk.people().all()) {
    all.push_back(desk.people().label(id));
  }
  return all;
}

std::vector<std::string_view> command_words() {
  std::vector<std::string_view> all;
  for (const chat_command& each : chat_commands()) {
    all.push_back(each.word);
  }
  return all;
}

}  // namespace

std::string chat_completion::common() const {
  if (words.empty()) {
    return begun;
  }
  std::wstring all = to_wide(words.front());
  for (const std::string& each : words) {
    const std::wstring other = to_wide(each);
    all.resize(static_cast<std::size_t>(std::ranges::mismatch(all, other).in1 - all.begin()));
  }
  const std::string text = to_utf8(all);
  return text.size() < begun.size() ? begun : text;
}

chat_completion complete_chat(std::string_view before_cursor, const chat_desk& desk) {
  const std::size_t space = before_cursor.find(' ');
  const bool is_command = before_cursor.starts_with('/') && !before_cursor.starts_with("//");
  if (is_command && space == before_cursor.npos) {
    return among(command_words(), before_cursor, " ");
  }
  const std::string_view command = is_command ? before_cursor.substr(0, space) : "";
  const std::string_view rest = is_command ? before_cursor.substr(space + 1) : before_cursor;
  if (command == "/join" || command == "/who") {
    return among(desk.all_rooms(), rest, "");
  }
  if (command == "/leave") {
    return among(desk.own_rooms(), rest, "");
  }
  if (const std::size_t name_end = rest.find(' '); command == "/send" && name_end != rest.npos) {
    const std::string_view path = rest.substr(name_end + 1);
    return {.begun = std::string{path}, .words = files_that_begin(path)};
  }
  const std::size_t last_space = rest.rfind(' ');
  if ((command == "/msg" || command == "/send") && last_space == rest.npos) {
    return among(labels(desk), rest, " ");
  }
  if (is_command && command != "/msg" && command != "/away") {
    return {};
  }
  const bool is_first = !is_command && last_space == rest.npos;
  return among(labels(desk), is_first ? rest : rest.substr(last_space + 1), is_first ? ": " : " ");
}
