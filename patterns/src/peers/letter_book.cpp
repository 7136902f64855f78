// SPDX-License-Identifier: MPL-2.0
#include "letter_book.hpp"

#include <algorithm>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

// Without a word of the receiver.
constexpr auto again_after = 5s;
// Of whom it is remembered what they sent: strangers can make up identities.
constexpr std::size_t most_senders = 10'000;

}  // namespace

const letter_book::letter* letter_book::write(const std::string& to, message content) {
  return add(to, {{letter_mark::kind::letter, session_, 0, 0}, std::move(content)});
}

const letter_book::letter* letter_book::write_read(const std::string& to, std::uint64_t about) {
  return add(to, {{letter_mark::kind::read, session_, 0, about}, {}});
}

const letter_book::letter* letter_book::add(const std::string& to, letter&& made) {
  outgoing& box = outgoing_[to];
  const std::size_t bytes = made.content.bytes();
  if (box.kept.size() >= limit_ || (!box.kept.empty() && box.bytes + bytes > limit_bytes_)) {
    return nullptr;
  }
  made.mark.number = ++box.last;
  box.bytes += bytes;
  box.kept.push_back(std::move(made));
  return &box.kept.back();
}

void letter_book::restore(const std::string& to, letter&& kept) {
  outgoing& box = outgoing_[to];
  box.last = std::max(box.last, kept.mark.number);
  box.bytes += kept.content.bytes();
  box.kept.push_back(std::move(kept));
}

void letter_book::restore_taken(const std::string& from, std::uint64_t session,
                                std::uint64_t number) {
  incoming_[from] = {session, number, number};
}

const letter_book::letter* letter_book::next(const std::string& to) const {
  const auto box = outgoing_.find(to);
  return box != outgoing_.end() && box->second.sent < box->second.kept.size()
             ? &box->second.kept[box->second.sent]
             : nullptr;
}

void letter_book::sent(const std::string& to, time_point now) {
  outgoing& box = outgoing_.at(to);
  ++box.sent;
  box.again = now + again_after;
}

void letter_book::begin_anew(const std::string& to) {
  if (const auto box = outgoing_.find(to); box != outgoing_.end()) {
    box->second.sent = 0;
    box->second.again = time_point::max();
  }
}

std::vector<std::string> letter_book::tick(time_point now) {
  std::vector<std::string> silent;
  for (auto& [to, box] : outgoing_) {
    if (box.again <= now) {
      box.sent = 0;
      box.again = time_point::max();
      silent.push_back(to);
    }
  }
  return silent;
}

letter_book::time_point letter_book::due() const noexcept {
  auto next = time_point::max();
  for (const auto& [to, box] : outgoing_) {
    next = std::min(next, box.again);
  }
  return next;
}

void letter_book::take_back(const std::string& to) {
  outgoing& box = outgoing_.at(to);
  box.bytes -= box.kept.back().content.bytes();
  box.kept.pop_back();
  --box.last;
}

std::vector<std::uint64_t> letter_book::received(const std::string& by, const letter_mark& said,
                                                 time_point now) {
  std::vector<std::uint64_t> delivered;
  const auto found = outgoing_.find(by);
  if (found == outgoing_.end() || said.session != session_) {
    return delivered;
  }
  outgoing& box = found->second;
  while (!box.kept.empty() && box.kept.front().mark.number <= said.number) {
    const letter& first = box.kept.front();
    if (first.mark.what == letter_mark::kind::letter) {
      delivered.push_back(first.mark.number);
    }
    box.bytes -= first.content.bytes();
    box.kept.pop_front();
    box.sent -= box.sent > 0 ? 1 : 0;
  }
  if (said.what == letter_mark::kind::again) {
    box.sent = 0;
  }
  box.again = box.sent > 0 ? now + again_after : time_point::max();
  return delivered;
}

std::size_t letter_book::waiting(const std::string& to) const {
  const auto box = outgoing_.find(to);
  return box == outgoing_.end() ? 0 : box->second.kept.size();
}

// Of a session that is new to us it may begin anywhere: its first ones were for who we were before.
bool letter_book::is_next(const std::string& from, const letter_mark& came) const {
  const auto known = incoming_.find(from);
  return known == incoming_.end() || known->second.session != came.session ||
         came.number == known->second.offered + 1;
}

void letter_book::offered(const std::string& from, const letter_mark& came) {
  if (!incoming_.contains(from)) {
    forget_incoming();
  }
  incoming& box = incoming_[from];
  if (box.session != came.session) {
    box = {came.session, 0, 0};
  }
  box.offered = came.number;
}

void letter_book::refused(const std::string& from, const letter_mark& came) {
  if (const auto box = incoming_.find(from); box != incoming_.end() &&
                                             box->second.session == came.session &&
                                             came.number > box->second.offered) {
    refused_.insert(from);
  }
}

// Somebody, when there are too many: at worst a letter of his comes twice.
void letter_book::forget_incoming() {
  if (incoming_.size() >= most_senders) {
    refused_.erase(incoming_.begin()->first);
    incoming_.erase(incoming_.begin());
  }
}

letter_mark letter_book::taken(const std::string& from, const letter_mark& came) {
  if (const auto box = incoming_.find(from);
      box != incoming_.end() && box->second.session == came.session) {
    box->second.taken = std::max(box->second.taken, came.number);
  }
  return {letter_mark::kind::received, came.session, came.number, 0};
}

std::optional<letter_mark> letter_book::again(const std::string& from) {
  const auto found = incoming_.find(from);
  if (found == incoming_.end() || found->second.taken != found->second.offered ||
      refused_.erase(from) == 0) {
    return std::nullopt;
  }
  return letter_mark{letter_mark::kind::again, found->second.session,
                     std::max<std::uint64_t>(found->second.taken, 1), 0};
}

std::optional<letter_mark> letter_book::known(const std::string& from,
                                              const letter_mark& came) const {
  const auto box = incoming_.find(from);
  if (box == incoming_.end() || box->second.session != came.session ||
      came.number > box->second.taken) {
    return std::nullopt;
  }
  return letter_mark{letter_mark::kind::received, came.session, box->second.taken, 0};
}

}  // namespace parley::detail
