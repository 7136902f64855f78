// SPDX-License-Identifier: MPL-2.0
//
// A router with clients that are strings, and a native side that takes notes.
#pragma once

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "stomp/router.hpp"

namespace parley::stomp {

struct noted_native final : native {
  void publish(std::string_view topic, std::string_view body) override {
    notes.push_back("publish " + std::string{topic} + " " + std::string{body});
  }
  void want(std::string_view prefix) override { notes.push_back("want " + std::string{prefix}); }
  void unwant(std::string_view prefix) override {
    notes.push_back("unwant " + std::string{prefix});
  }
  bool call(std::uint64_t number, std::string_view service, std::string_view method,
            const std::string&, clock::time_point deadline) override {
    if (service == "nobody") return false;
    if (breaks) throw std::runtime_error{"broken"};
    notes.push_back("call " + std::string{service} + "." + std::string{method});
    last_call = number;
    last_deadline = deadline;
    return true;
  }

  void report(std::string_view what) override { reports.emplace_back(what); }

  std::vector<std::string> notes;
  std::vector<std::string> reports;
  bool breaks = false;  // at the next call
  std::uint64_t last_call = 0;
  clock::time_point last_deadline{};
};

// What the rim does, without sockets: all that a client is sent piles up in `got`.
class string_client final : public router::client {
 public:
  explicit string_client(router& owner) : client{owner, clock::time_point{}}, owner_{owner} {}
  ~string_client() { leave(); }

  void attend() override {}
  void send(std::string_view text) {
    if (!text.empty()) {
      std::memcpy(reader().prepare(text.size()).data(), text.data(), text.size());
      reader().commit(text.size());
    }
    if (reading()) owner_.received(*this, now);
  }
  // What the peer reads.
  std::string read() {
    std::string sent;
    while (protocol().has_output()) {
      std::string some;
      protocol().take_output(some, now);
      sent += some;
      owner_.sent(*this, now);
    }
    return sent;
  }
  bool tick() { return owner_.tick(*this, now); }
  void leave() {
    if (!std::exchange(gone_, true)) owner_.disconnect(*this);
  }

  clock::time_point now{};

 private:
  router& owner_;
  bool gone_ = false;
};

}  // namespace parley::stomp
