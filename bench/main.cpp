// SPDX-License-Identifier: MPL-2.0
//
// parley_bench [NAME...] [--runs N] [--json FILE] [--list]
// NAME is a benchmark ("pipes") or part of "benchmark: case" ("pipes: 64 B"). All by default.
// The table goes to stdout as it is measured; --json writes one object a line.
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>

#include "benches.hpp"

namespace {

using namespace parley::bench;

struct arguments {
  std::vector<std::string> names;
  std::string json;
  int runs = 5;
  bool list = false;
};

constexpr const char* usage = "usage: parley_bench [NAME...] [--runs N] [--json FILE] [--list]\n";

std::optional<arguments> parse(const std::vector<std::string>& words) {
  arguments result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--list") {
      result.list = true;
    } else if (words[i] == "--json" && has_value) {
      result.json = words[++i];
    } else if (words[i] == "--runs" && has_value) {
      result.runs = std::atoi(words[++i].c_str());
      if (result.runs < 1) return std::nullopt;
    } else if (words[i].starts_with("-")) {
      return std::nullopt;
    } else {
      result.names.push_back(words[i]);
    }
  }
  return result;
}

bool wanted(const arguments& args, const std::string& full_name) {
  if (args.names.empty()) return true;
  for (const auto& name : args.names) {
    if (full_name.find(name) != std::string::npos) return true;
  }
  return false;
}

int bench(const arguments& args) {
  struct {
    const char* name;
    std::vector<bench_case> (*cases)();
  } const benches[] = {
      {"pipes", pipes},          {"sockets", sockets},           {"gateway", gateway},
      {"costs", costs},          {"pipe sockets", pipe_sockets}, {"request_reply", request_reply},
      {"pub_sub", pub_sub},      {"pipeline", pipeline},         {"pipeline", durable_pipeline},
      {"peers", peers_together}, {"peers", peers_file_transfer},
  };
  std::ofstream json;
  if (!args.json.empty()) {
    json.open(args.json);
    if (!json) {
      std::cerr << "parley_bench: cannot write " << args.json << '\n';
      return 1;
    }
  }
  int found = 0;
  for (const auto& [name, cases] : benches) {
    for (const auto& what : cases()) {
      const std::string full_name = std::string{name} + ": " + what.name;
      if (!wanted(args, full_name)) continue;
      if (found++ == 0 && !args.list) std::cout << table_head() << std::endl;
      if (args.list) {
        std::cout << full_name << '\n';
        continue;
      }
      for (const auto& row : run(name, what, args.runs)) {
        std::cout << table_line(row) << std::endl;
        if (json.is_open()) json << json_line(row) << std::endl;
      }
    }
  }
  if (found == 0) {
    std::cerr << "parley_bench: no case has such a name; --list shows all\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto args = parse({argv + 1, argv + argc});
  if (!args) {
    std::cerr << usage;
    return 1;
  }
  return bench(*args);
} catch (const std::exception& failure) {
  std::cerr << "parley_bench: " << failure.what() << '\n';
  return 1;
}
