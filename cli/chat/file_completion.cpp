// SPDX-License-Identifier: MPL-2.0
#include "chat/file_completion.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace {

constexpr std::size_t most_looked_at = 10'000;

}  // namespace

std::filesystem::path at_home(std::string_view typed) {
  const char* const home = std::getenv("HOME");
  return typed.starts_with("~/") && home != nullptr ? std::filesystem::path{home} / typed.substr(2)
                                                    : std::filesystem::path{typed};
}

std::vector<std::string> files_that_begin(std::string_view typed) {
  const std::size_t name_at = typed.rfind('/') + 1;  // 0: there is none
  const std::string_view directory = typed.substr(0, name_at);
  const std::string_view begun = typed.substr(name_at);
  std::vector<std::string> found;
  std::error_code failure;
  std::size_t left = most_looked_at;
  for (std::filesystem::directory_iterator
           at{directory.empty() ? "." : at_home(directory), failure},
       end;
       !failure && at != end && left > 0; at.increment(failure), --left) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(begun) && (!name.starts_with('.') || begun.starts_with('.'))) {
      std::error_code ignored;
      found.push_back(std::string{directory} + name + (at->is_directory(ignored) ? "/" : ""));
    }
  }
  std::ranges::sort(found);
  return found;
}
