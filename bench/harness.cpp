// SPDX-License-Identifier: MPL-2.0
#include "harness.hpp"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace parley::bench {
namespace {

// Three significant digits, no exponent.
std::string figure(double value) {
  const int digits = value == 0 ? 0 : static_cast<int>(std::floor(std::log10(std::abs(value))));
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", std::clamp(2 - digits, 0, 6), value);
  return text;
}

std::string range(const spread& figures) {
  return figure(figures.median) + " [" + figure(figures.least) + ", " + figure(figures.most) + "]";
}

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + '"';
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

std::string line(const std::vector<std::string>& cells) {
  constexpr std::size_t widths[] = {46, 9, 24, 30, 24, 20, 8, 4};
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i)
    text += padded(cells[i], widths[i]);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

std::optional<bool> row::met() const {
  if (!target) return std::nullopt;
  return ratio.median >= *target;
}

spread spread_of(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  const std::size_t half = figures.size() / 2;
  const double median =
      figures.size() % 2 == 1 ? figures[half] : (figures[half - 1] + figures[half]) / 2;
  return {figures.front(), median, figures.back()};
}

std::vector<row> run(const std::string& bench, const bench_case& what, int rounds) {
  std::vector<double> ours;
  std::vector<std::vector<double>> theirs(what.peers.size());
  std::vector<std::vector<double>> ratios(what.peers.size());
  for (int round = 0; round <= rounds; ++round) {
    const double we = what.ours();
    if (round != 0) ours.push_back(we);
    for (std::size_t i = 0; i < what.peers.size(); ++i) {
      const double they = what.peers[i].run();
      if (round == 0) continue;  // fills caches, and creates threads and descriptors once
      theirs[i].push_back(they);
      ratios[i].push_back(what.direction == better::more ? we / they : they / we);
    }
  }
  std::vector<row> rows;
  for (std::size_t i = 0; i < what.peers.size(); ++i) {
    rows.push_back({bench, what.name, what.unit, what.peers[i].name, spread_of(ours),
                    spread_of(theirs[i]), spread_of(ratios[i]), what.peers[i].target});
  }
  return rows;
}

std::string table_head() {
  return line({"case", "unit", "ours [least, most]", "peer", "its figure [least, most]",
               "ratio [least, most]", "target", "met"});
}

std::string table_line(const row& measured) {
  const auto met = measured.met();
  return line({measured.bench + ": " + measured.name, measured.unit, range(measured.ours),
               measured.peer_name, range(measured.peer), range(measured.ratio),
               measured.target ? figure(*measured.target) : "-",
               met ? (*met ? "yes" : "NO") : "-"});
}

std::string json_line(const row& measured) {
  const auto met = measured.met();
  std::ostringstream json;
  json << "{\"bench\":" << quoted(measured.bench) << ",\"case\":" << quoted(measured.name)
       << ",\"unit\":" << quoted(measured.unit) << ",\"ours\":" << measured.ours.median
       << ",\"peer\":" << measured.peer.median << ",\"peer_name\":" << quoted(measured.peer_name)
       << ",\"ratio\":" << measured.ratio.median << ",\"target\":";
  if (measured.target) {
    json << *measured.target;
  } else {
    json << "null";
  }
  json << ",\"met\":" << (met ? (*met ? "true" : "false") : "null") << '}';
  return json.str();
}

void pin_to(unsigned core) {
  const unsigned cores = std::thread::hardware_concurrency();
  if (cores < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core % cores, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // best effort
}

double time_threads(const std::vector<std::function<void()>>& writers,
                    const std::function<void()>& reader) {
  using clock = std::chrono::steady_clock;
  std::barrier start{static_cast<std::ptrdiff_t>(writers.size()) + 1};
  clock::time_point begin;
  double seconds = 0;
  // In a thread of its own, so that no pinning outlives the measurement.
  std::thread reading{[&] {
    pin_to(0);
    std::vector<std::thread> writing;
    const unsigned others = std::max(2u, std::thread::hardware_concurrency()) - 1;
    for (unsigned i = 0; i < writers.size(); ++i) {
      writing.emplace_back([&, i] {
        pin_to(1 + i % others);
        start.arrive_and_wait();
        writers[i]();
      });
    }
    start.arrive_and_wait();
    begin = clock::now();
    reader();
    for (auto& writer : writing)
      writer.join();
    seconds = std::chrono::duration<double>(clock::now() - begin).count();
  }};
  reading.join();
  return seconds;
}

double time_two_threads(const std::function<void()>& writer, const std::function<void()>& reader) {
  return time_threads({writer}, reader);
}

double in_child(const std::function<double()>& taken) {
  int ends[2];
  require(pipe(ends) == 0, "no pipe");
  const pid_t child = fork();
  require(child >= 0, "no child");
  if (child == 0) {
    const double figure = taken();
    const bool told = write(ends[1], &figure, sizeof figure) == sizeof figure;
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  double figure = 0;
  require(read(ends[0], &figure, sizeof figure) == sizeof figure, "a child died");
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return figure;
}

double resident_kib() {
  std::ifstream figures{"/proc/self/statm"};
  double total = 0;
  double resident = 0;
  figures >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

void require(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "parley_bench: %s\n", what);
  std::abort();
}

}  // namespace parley::bench
