// SPDX-License-Identifier: MPL-2.0
//
// The books of publish-subscribe, told on stderr when a command ends: with --json an object a line,
// else a line for people.
#pragma once

#include "output.hpp"

#include <parley/forwarder.hpp>
#include <parley/pub_sub.hpp>

#include <vector>

#include <CLI/CLI.hpp>

class stats_arg {
 public:
  void add_to(CLI::App& command);

  // Runs work(), and report() after it, however that ends.
  template<class Work, class Report>
  auto after(Work work, Report report) const {
    try {
      auto result = work();
      if (is_set_) {
        report();
      }
      return result;
    } catch (...) {
      if (is_set_) {
        report();
      }
      throw;
    }
  }

 private:
  bool is_set_ = false;
};

// All together, those that left together, and each subscriber that is here or waited for, prefix by
// prefix.
void report(const output& out, const parley::publisher& of);
// Each publisher, all together and prefix by prefix.
void report(const output& out, const std::vector<parley::feed_ledger>& books);
// And both of its sides.
void report(const output& out, const parley::forwarder& of);
