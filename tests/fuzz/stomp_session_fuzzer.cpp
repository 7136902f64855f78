// SPDX-License-Identifier: MPL-2.0
//
// One client does what it likes to a session that is fed by one queue: nothing it sends may crash
// the gateway, write what is no STOMP, or lose a message. The first byte of the input is left to
// the frame reader's fuzzer, which shares the corpus; the second picks who carries out requests
// late.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "stomp/frame_reader.hpp"
#include "stomp/session.hpp"

using namespace parley::stomp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct taker final : queue::consumer {
  taker(session& to, subscription& who, queue& source) : to_{to}, who_{who}, from_{source} {}
  queue::taken try_take(const queue::entry& next) override {
    if (!to_.has_credit(who_) || to_.unsent_bytes() > 10'000) return queue::taken::refused;
    to_.deliver(who_, next, from_);
    return queue::taken::held;
  }
  session& to_;
  subscription& who_;
  queue& from_;
};

class world {
 public:
  void run(std::string_view bytes) {
    for (int i = 0; i < 20; ++i)
      require(source_.push(message::make("/queue/a", {}, "work")));
    accepted_ = source_.size();
    std::memcpy(reader_.prepare(bytes.size()).data(), bytes.data(), bytes.size());
    reader_.commit(bytes.size());
    while (!client_.closing()) {
      const auto outcome = reader_.next();
      if (outcome == frame_reader::outcome::more) break;
      if (outcome == frame_reader::outcome::wrong) {
        client_.malformed(reader_.problem());
        break;
      }
      carry_out(client_.receive(reader_.current(), clock::time_point{}));
      if (client_.connected()) reader_.set_version(client_.negotiated());
      for (auto& each : takers_)
        source_.wake(*each);
      source_.dispatch();
      flush();
      require(accepted_ == source_.size() + finished_);
    }
    flush();
    // The client is gone: nothing may be missing.
    for (auto& each : takers_)
      source_.remove(*each);
    for (auto& each : client_.subscriptions())
      give_back(*each);
    for (delivery& each : client_.take_unsent())
      source_.give_back(each.entry, false, nullptr);
    require(source_.in_flight() == 0);
    require(accepted_ == source_.waiting() + finished_);
  }

 private:
  void carry_out(const request& asked) {
    switch (asked.what) {
      case request::kind::none:
        return;
      case request::kind::subscribe:
        takers_.push_back(std::make_unique<taker>(client_, *asked.subject, source_));
        source_.add(*takers_.back());
        break;
      case request::kind::unsubscribe:
        std::erase_if(takers_, [&](auto& each) {
          if (&each->who_ != asked.subject) return false;
          source_.remove(*each);
          return true;
        });
        give_back(*asked.subject);
        break;
      default:
        for (const settlement& each : asked.settlements) {
          if (each.accepted) {
            source_.settled(each.entry);
            ++finished_;
          } else {
            finished_ += source_.give_back(each.entry, true, nullptr) == queue::returned::given_up;
          }
        }
    }
    client_.complete();
  }

  void give_back(subscription& ended) {
    while (!ended.unsettled.empty()) {
      source_.give_back(ended.unsettled.back().entry, false, nullptr);
      ended.unsettled.pop_back();
    }
  }

  // What goes out must read back as frames.
  void flush() {
    std::string out;
    std::vector<delivery> done;
    client_.take_output(out, {});
    client_.sent({}, done);
    for (const delivery& each : done) {
      source_.settled(each.entry);
      ++finished_;
    }
    if (out.empty()) return;
    frame_reader reader;
    reader.set_version(client_.negotiated());
    std::memcpy(reader.prepare(out.size()).data(), out.data(), out.size());
    reader.commit(out.size());
    frame_reader::outcome outcome;
    while ((outcome = reader.next()) == frame_reader::outcome::frame) {
    }
    require(outcome == frame_reader::outcome::more);
  }

  frame_reader reader_;
  session client_{
      session_limits{.subscriptions = 4, .prefetch = 5, .transactions = 3, .transaction_frames = 5},
      7, "/reply-queue/7/", clock::time_point{}};
  queue source_{queue_limits{.messages = 100, .bytes = 1'000'000, .attempts = 3}};
  std::vector<std::unique_ptr<taker>> takers_;
  std::size_t accepted_ = 0;
  std::size_t finished_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  world{}.run({reinterpret_cast<const char*>(data) + 2, size - 2});
  return 0;
}
