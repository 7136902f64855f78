// SPDX-License-Identifier: MPL-2.0
//
// Three clients and the native side do what they like to one router with tight limits. The input is
// cut at octets 255; the first octet of each piece picks who acts and how, the rest is what it
// says.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "gateways/router_world.hpp"
#include "stomp/frame_reader.hpp"

using namespace parley::stomp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

limits tight() {
  limits chosen;
  chosen.sessions.subscriptions = 5;
  chosen.sessions.prefetch = 2;
  chosen.sessions.transactions = 2;
  chosen.sessions.transaction_frames = 4;
  chosen.queues.messages = 3;
  chosen.queues.attempts = 2;
  chosen.queue_count = 4;
  chosen.queue_wait = std::chrono::milliseconds{100};
  chosen.output = 600;
  chosen.temp_queues = 2;
  chosen.calls = 2;
  return chosen;
}

struct feeder final : router::waiter {
  void on_room() override { waits = false; }
  bool waits = false;
};

class world {
 public:
  world() {
    router_.keep("a");
    for (auto& each : clients_)
      join(each);
  }

  void act(std::string_view piece) {
    if (piece.empty()) return;
    const auto what = static_cast<unsigned char>(piece.front());
    piece.remove_prefix(1);
    auto& who = clients_[what % clients_.size()];
    switch (what / clients_.size() % 8) {
      case 0:
      case 1:
        who->send(piece);
        break;
      case 2:
        check(who->read());
        break;
      case 3:
        now_ += std::chrono::milliseconds{50};
        who->now = now_;
        if (!who->tick()) join(who);
        break;
      case 4:
        join(who);
        break;
      case 5:
        router_.publish("a.b", piece);
        break;
      case 6:
        if (!feeder_.waits) feeder_.waits = !router_.push("a", piece, feeder_, false);
        break;
      case 7:
        router_.replied(outside_.last_call, {what % 2 == 0, "\x01", "error", "text"});
        break;
    }
    router_.run(now_);
    if (who->protocol().closing()) {
      check(who->read());
      join(who);
    }
  }

  void end() {
    for (auto& each : clients_)
      each.reset();
    router_.run(now_);
    require(outside_.reports.empty());
    require(router_.count().connections.get() == 0);
    require(router_.count().subscriptions.get() == 0);
  }

 private:
  void join(std::unique_ptr<string_client>& who) {
    who.reset();
    who = std::make_unique<string_client>(router_);
    who->now = now_;
    static const std::string connect =
        std::string{"CONNECT\naccept-version:1.2\nheart-beat:1000,1000\n\n"} + '\0';
    who->send(connect);
    require(who->protocol().connected());
  }

  void check(const std::string& out) {
    if (out.empty()) return;
    frame_reader reader;
    reader.set_version(version::v1_2);
    std::memcpy(reader.prepare(out.size()).data(), out.data(), out.size());
    reader.commit(out.size());
    frame_reader::outcome outcome;
    while ((outcome = reader.next()) == frame_reader::outcome::frame) {
    }
    require(outcome == frame_reader::outcome::more);
  }

  noted_native outside_;
  router router_{tight(), outside_};
  clock::time_point now_{};
  feeder feeder_;
  std::array<std::unique_ptr<string_client>, 3> clients_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(data), size};
  world all;
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, input.find('\xff'));
    all.act(piece);
    input.remove_prefix(std::min(piece.size() + 1, input.size()));
  }
  all.end();
  return 0;
}
