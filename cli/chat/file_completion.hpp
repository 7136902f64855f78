// SPDX-License-Identifier: MPL-2.0
//
// Names of files, as they are typed. Any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// ~/ stands for the home directory.
[[nodiscard]] std::filesystem::path at_home(std::string_view typed);
// All that begin so; directories end with a slash. Hidden ones where the dot was typed.
[[nodiscard]] std::vector<std::string> files_that_begin(std::string_view typed);
