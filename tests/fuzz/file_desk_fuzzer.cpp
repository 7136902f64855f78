// SPDX-License-Identifier: MPL-2.0
//
// Whatever two peers say of files, keep to the protocol or not, take what is said to them or not,
// whatever the disk does and the program wants: what is kept for them is bounded, no more is read
// or written than was agreed, and of each transfer the program hears one end. What is read of a
// mark and written again is read the same.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "choices.hpp"
#include "peers/file_desk.hpp"

using namespace parley;
using namespace parley::detail;
using kind = file_mark::kind;
using event = peer_event::kind;

namespace {

constexpr std::uint64_t files_bytes = std::uint64_t{1} << 32;
constexpr std::uint64_t least_large = std::uint64_t{32} << 10;  // 128 of it are 4 MiB

peer_id id_of(std::uint8_t which) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes.fill(static_cast<std::uint8_t>(1 + which % 2));
  return peer_id{bytes};
}

// Many bytes, that cost nothing.
frame some(std::uint64_t size) {
  static const std::string bytes(std::size_t{9} << 20, 'x');
  static frame::body owner{[](frame::body*) noexcept {}};
  require(size <= bytes.size());
  if (size <= frame::inline_capacity) {
    return frame{bytes.data(), static_cast<std::size_t>(size)};
  }
  owner.owners.fetch_add(1);
  return frame::adopt(&owner, bytes.data(), static_cast<std::size_t>(size));
}

void read_and_write(std::string_view frame) {
  const auto read = read_file_mark(frame);
  require(!read || read_file_mark(write_file_mark(*read)) == read);
}

class node {
 public:
  explicit node(choices& next) : next_{next} {}

  void act() {
    const std::uint8_t what = next_.octet();
    const std::uint8_t who = next_.octet();
    now_ += std::chrono::milliseconds{what};
    switch (what % 14) {
      case 0: {
        const auto mark = read_file_mark(next_.bytes());
        if (mark) {
          hear(who, *mark, next_.octet() * 200);
        }
        break;
      }
      case 1:  // one that could be, with a number that may be in use
        hear(who, any_mark(who), next_.octet() * 200);
        break;
      case 2:
        hear(who, {.what = kind::offer, .number = number_, .offset = size(), .name = "f"}, 0);
        ++number_;
        break;
      case 3:
      case 4:
        send_well(who);
        break;
      case 5:
        receive_well(who);
        break;
      case 6:
        send(who);
        break;
      case 7:
        accept(who);
        break;
      case 8:
        cancel(any_transfer(who));
        break;
      case 9:
      case 10:
        work(file_failure::none);
        break;
      case 11:
        work(static_cast<file_failure>(who % 14));
        break;
      case 12:
        who < 16 ? lose(who) : wait(who);
        break;
      default:
        take(who);
    }
    look();
  }

  void end() {
    count_words(0);
    count_words(1);
    lose(0);
    lose(1);
    look();
    while (!jobs_.empty()) {
      work(file_failure::none);
      look();
    }
    for (const auto& [number, one] : transfers_) {
      require(one.has_ended);
    }
    require(desk_.listeners().empty());
  }

 private:
  struct transfer {
    bool is_ours = false;
    bool is_accepted = false;
    bool has_ended = false;
    bool has_failed = false;
    std::uint64_t size = 0;
    std::uint64_t part = 0;       // theirs: has come to our disk
    std::uint64_t unwritten = 0;  // of jobs, bytes
    std::uint64_t unread = 0;
    bool is_finishing = false;  // all has been read, or has come
    bool is_closed = false;
  };
  struct remote {  // what a peer knows of a file it sends, if it is honest
    std::uint64_t number = 0;
    std::uint64_t size = 0;
    std::uint64_t at = 0;
    bool has_begun = false;
  };

  std::uint64_t size() {
    const std::uint8_t how = next_.octet();
    return how < 250 ? std::uint64_t{how} << (how % 20) : ~std::uint64_t{0} >> (how - 250);
  }

  file_mark any_mark(std::uint8_t who) {
    const std::uint8_t how = next_.octet();
    file_mark made{.what = static_cast<kind>(how % 2 == 0 ? 1 + how % 6 : 0x11 + how % 4)};
    made.number = how % 8;
    made.offset = size();
    made.room = static_cast<std::uint32_t>(size());
    made.why = static_cast<file_failure>(who % 14);
    return read_file_mark(write_file_mark(made)).value();
  }

  void hear(std::uint8_t who, file_mark mark, std::size_t bytes) {
    const std::uint64_t wire_number = mark.number;
    const std::uint64_t said_size = mark.offset;
    const bool is_piece = mark.what == kind::piece;
    auto told = desk_.heard({id_of(who), "peer", "peer"}, std::move(mark),
                            is_piece ? some(bytes) : frame{}, now_);
    if (!told) {
      return;
    }
    require(told->what == event::file_offered && told->peer == id_of(who));
    require(told->file.name.find_first_of("/\\") == std::string::npos && !told->file.name.empty());
    require(told->file.size == said_size && said_size <= files_bytes);
    if (next_.octet() % 16 == 0) {
      desk_.refuse(told->number);  // there is no room before the program
      return;
    }
    require(transfers_.try_emplace(told->number, transfer{.size = said_size}).second);
    remotes_.insert_or_assign(std::pair{id_of(who), wire_number},
                              remote{wire_number, said_size, 0, false});
  }

  // The next that an honest sender would say of one that was accepted, or nearly so.
  void send_well(std::uint8_t who) {
    if (accepted_.empty()) {
      return;
    }
    const auto& [peer, wire_number] = accepted_[who % accepted_.size()];
    remote& of = remotes_[{peer, wire_number}];
    file_mark mark{.what = kind::piece, .number = wire_number, .offset = of.at};
    std::uint64_t bytes = 0;
    if (!std::exchange(of.has_begun, true)) {
      mark.what = kind::begin;
    } else if (of.at == of.size) {
      mark.what = kind::end;
    } else {
      const std::uint8_t how = next_.octet();
      bytes = std::min(of.size - of.at, how < 128 ? std::uint64_t{16} << 10 : how * least_large);
    }
    switch (next_.octet()) {
      case 1:
        ++mark.offset;
        break;
      case 2:
        ++bytes;
        break;
      case 3:
        bytes = 0;
        break;
      case 4:
        mark.what = kind::end;
        mark.offset = of.size;
        break;
      case 5:
        mark.what = kind::begin;
        break;
      default:
        break;
    }
    of.at += mark.what == kind::piece ? bytes : 0;
    static_cast<void>(desk_.heard({peer, "peer", "peer"}, std::move(mark),
                                  bytes == 0 ? frame{} : some(bytes), now_));
  }

  // The next that an honest receiver would say of what we send, or nearly so.
  void receive_well(std::uint8_t who) {
    const std::uint64_t number = any_transfer(who);
    const auto at = transfers_.find(number);
    if (at == transfers_.end() || !at->second.is_ours) {
      return;
    }
    const std::uint8_t how = next_.octet();
    file_mark mark{.what = how % 4 == 0 ? kind::accept : how % 4 == 1 ? kind::done : kind::have};
    mark.number = number;
    mark.offset = mark.what == kind::accept ? how / 64 * (at->second.size / 3 + how % 8 / 4)
                                            : said_up_to_[number] + (how == 255 ? 1 : 0);
    mark.room = file_desk::room;
    const bool is_too_soon = mark.what == kind::done && !at->second.is_finishing;
    const bool was_there = !at->second.has_ended;
    static_cast<void>(
        desk_.heard({id_of(which_[number]), "peer", "peer"}, std::move(mark), {}, now_));
    look();
    require(!is_too_soon || !was_there || at->second.has_failed);
  }

  void send(std::uint8_t who) {
    peer_file file;
    file.name = std::string{next_.bytes()};
    file.size = size();
    const auto number = desk_.send({id_of(who), "peer", "peer"}, file, now_);
    if (number != 0) {
      require(transfers_.try_emplace(number, transfer{.is_ours = true, .size = file.size}).second);
      which_[number] = who;
    }
  }

  void accept(std::uint8_t who) {
    const std::uint64_t number = any_transfer(who);
    const peer_file* const offered = desk_.offered(number);
    if (offered == nullptr || !desk_.has_room_for(*offered)) {
      return;
    }
    transfer& of = transfers_.at(number);
    of.is_accepted = true;
    of.part = size() % (files_bytes + 1);
    desk_.accept(number, "there", of.part, now_);
    require(desk_.offered(number) == nullptr);
  }

  void cancel(std::uint64_t number) {
    const auto at = transfers_.find(number);
    const bool was_there = at != transfers_.end() && !at->second.has_ended;
    const bool is_cancelled = desk_.cancel(number);
    look();
    require(!is_cancelled || (was_there && at->second.has_ended));
  }

  void work(file_failure why) {
    if (jobs_.empty()) {
      return;
    }
    file_job job = std::move(jobs_.front());
    jobs_.pop_front();
    if (job.what == file_job::kind::close) {
      return;
    }
    const auto at = transfers_.find(job.number);
    require(at != transfers_.end());
    transfer& of = at->second;
    file_result came{job.what, job.number, job.offset};
    came.why = why;
    if (job.what == file_job::kind::begin) {
      require(job.offset == 0 || job.offset == of.part);
      of.part = job.offset;
    } else if (job.what == file_job::kind::write) {
      of.unwritten -= job.content.size();
      of.part += job.content.size();
      require(of.part <= of.size);
      came.offset = of.part;
    } else if (job.what == file_job::kind::finish) {
      require(of.part == of.size);
      of.is_finishing = true;
    } else if (job.what == file_job::kind::read) {
      of.unread -= job.size;
      of.is_finishing = why == file_failure::none && job.offset + job.size == of.size;
      came.content = why == file_failure::none ? some(job.size) : frame{};
    }
    desk_.done(std::move(came), now_);
  }

  void lose(std::uint8_t who) {
    desk_.gone(id_of(who));
    require(desk_.next(id_of(who)) == nullptr);
    std::erase_if(accepted_, [&](const auto& each) { return each.first == id_of(who); });
  }

  void wait(std::uint8_t who) {
    now_ += std::chrono::milliseconds{who * 100};
    require(desk_.tick(now_) > now_);
  }

  // It takes some of what is said to it.
  void take(std::uint8_t who) {
    for (std::uint8_t left = next_.octet(); left > 0; --left) {
      const file_desk::word* const word = desk_.next(id_of(who));
      if (word == nullptr) {
        return;
      }
      require(read_file_mark(write_file_mark(word->mark)) == word->mark);
      require((word->mark.what == kind::piece) == !word->content.empty());
      if (word->mark.what == kind::accept) {
        remote& of = remotes_[{id_of(who), word->mark.number}];
        of.at = word->mark.offset;
        accepted_.emplace_back(id_of(who), word->mark.number);
      } else if (word->mark.what == kind::piece) {
        said_up_to_[word->mark.number] = word->mark.offset + word->content.size();
      }
      desk_.said(id_of(who), now_);
    }
  }

  std::uint64_t any_transfer(std::uint8_t who) {
    if (transfers_.empty()) {
      return who;
    }
    auto at = transfers_.rbegin();
    for (std::size_t back = who % std::min<std::size_t>(transfers_.size(), 8); back > 0; --back) {
      ++at;
    }
    return at->first;
  }

  void take_job(file_job&& job) {
    transfer& of = transfers_.at(job.number);
    require(!of.is_closed && (of.is_ours || of.is_accepted));
    const bool is_of_sender = job.what == file_job::kind::read;
    const bool is_of_both = job.what == file_job::kind::check || job.what == file_job::kind::close;
    require(is_of_both || is_of_sender == of.is_ours);
    switch (job.what) {
      case file_job::kind::check:
        require(job.offset <= of.size && (of.is_ours || job.offset <= of.part));
        break;
      case file_job::kind::read:
        of.unread += job.size;
        require(job.offset <= of.size && job.size <= of.size - job.offset);
        require(of.unread <= file_window::most);
        break;
      case file_job::kind::write:
        of.unwritten += job.content.size();
        require(!job.content.empty() && of.unwritten <= file_desk::room);
        break;
      case file_job::kind::close: {
        of.is_closed = true;
        // The one at hand may be done all the same.
        const auto first = jobs_.begin() + (jobs_.empty() || job.number % 2 == 0 ? 0 : 1);
        jobs_.erase(std::remove_if(first, jobs_.end(),
                                   [&](const file_job& each) { return each.number == job.number; }),
                    jobs_.end());
        return;
      }
      default:
        break;
    }
    jobs_.push_back(std::move(job));
  }

  void look() {
    for (file_job& each : desk_.take_jobs()) {
      take_job(std::move(each));
    }
    for (const peer_event& each : desk_.take_events()) {
      transfer& of = transfers_.at(each.number);
      require(!of.has_ended && each.file.is_ours == of.is_ours);
      require(each.file.done <= of.size && each.file.from <= of.size);
      of.has_ended = each.what != event::file_progress;
      of.has_failed = each.what == event::file_failed;
      require((each.what == event::file_failed) == (each.file.why != file_failure::none));
      require(each.what != event::file_done || of.is_ours || of.is_finishing);
    }
    require(transfers_.size() < 20'000);
  }

  // What waits for one that takes nothing.
  void count_words(std::uint8_t who) {
    file_desk as_it_is{desk_};
    std::size_t answers = 0;
    std::map<std::pair<kind, std::uint64_t>, std::size_t> said;
    std::uint64_t bytes = 0;
    while (const file_desk::word* const word = as_it_is.next(id_of(who))) {
      if (word->mark.what == kind::refuse || word->mark.what == kind::withdraw) {
        ++answers;
      } else if (word->mark.what == kind::piece) {
        bytes += word->content.size();
      } else {
        require(++said[{word->mark.what, word->mark.number}] == 1);
      }
      as_it_is.said(id_of(who), now_);
    }
    require(answers <= 1000);
    require(bytes <= std::uint64_t{72} << 20);
  }

  choices& next_;
  file_desk desk_{files_bytes};
  file_desk::time_point now_{std::chrono::hours{1}};
  std::uint64_t number_ = 0;  // of offers
  std::map<std::uint64_t, transfer> transfers_;
  std::map<std::uint64_t, std::uint8_t> which_;        // whom we send it to
  std::map<std::uint64_t, std::uint64_t> said_up_to_;  // of what we send
  std::map<std::pair<peer_id, std::uint64_t>, remote> remotes_;
  std::vector<std::pair<peer_id, std::uint64_t>> accepted_;  // by us, as they were told
  std::deque<file_job> jobs_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_and_write({reinterpret_cast<const char*>(data), size});
  choices next{data, size};
  node one{next};
  while (next.has_more()) {
    one.act();
  }
  one.end();
  return 0;
}
