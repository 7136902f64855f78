// SPDX-License-Identifier: MPL-2.0
//
// Measures Parley and its peers in turn, in one run: machines differ, and drift within minutes.
//
// A case is something to do, in our way and in the way of one or more peers. A round measures ours,
// then each peer; a row compares us with one peer. What a row says:
//   ours, peer  medians over the rounds, in the case's unit
//   ratio       how many times as good as the peer we are: ours / peer where more is better, peer /
//   ours
//               where less is. Median of the rounds' ratios, so that drift between rounds cancels.
//   target      the least ratio that will do; none where nothing is promised
//   met         ratio >= target
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace parley::bench {

enum class better { more, less };

// Measures once, some tenths of a second long, and returns the figure in the case's unit.
using measure = std::function<double()>;

struct peer {
  std::string name;
  measure run;
  std::optional<double> target;
};

struct bench_case {
  std::string name;
  std::string unit;
  better direction = better::more;
  measure ours;
  std::vector<peer> peers;
};

struct spread {
  double least = 0;
  double median = 0;
  double most = 0;
};

struct row {
  std::string bench, name, unit, peer_name;
  spread ours, peer, ratio;
  std::optional<double> target;
  [[nodiscard]] std::optional<bool> met() const;
};

// Requires: at least one figure.
[[nodiscard]] spread spread_of(std::vector<double> figures);

// Rounds of ours and each peer in turn, after one round that does not count.
[[nodiscard]] std::vector<row> run(const std::string& bench, const bench_case& what, int rounds);

[[nodiscard]] std::string table_head();
[[nodiscard]] std::string table_line(const row& measured);
[[nodiscard]] std::string json_line(const row& measured);

// Keeps the calling thread on one core where there are several.
void pin_to(unsigned core);

// Runs writer in a thread of its own and reader in this one, each pinned to a core of its own where
// there are two; returns the seconds from the common start until both are done.
double time_two_threads(const std::function<void()>& writer, const std::function<void()>& reader);
// The same with several writers, pinned in turn to the cores that are not the reader's.
double time_threads(const std::vector<std::function<void()>>& writers,
                    const std::function<void()>& reader);

// The figure that taken returns in a child process of its own, where nothing else has allocated or
// runs.
double in_child(const std::function<double()>& taken);

// Memory that this process has touched, in KiB.
double resident_kib();

// Ends the program when a benchmark did not do what it claims to measure.
void require(bool held, const char* what);

}  // namespace parley::bench
