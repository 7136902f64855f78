// SPDX-License-Identifier: MPL-2.0
#include "pipe_peers.hpp"

#include <algorithm>

namespace parley::detail {

pipe_peers::pipe_peers(const socket_options& options, socket_counters& counters,
                       std::function<void(pipe_peer&)> forget)
    : options_{options}, counters_{counters}, forget_{std::move(forget)} {}

pipe_peers::~pipe_peers() {
  for (const auto& each : peers_) {
    if (each->link) {
      each->link->leave(each->side);
    }
  }
}

// Coming and going.

pipe_peer* pipe_peers::find_waiting(std::uint64_t connection) const {
  const auto at = std::find_if(peers_.begin(), peers_.end(), [&](const auto& each) {
    return connection != 0 && each->connection == connection && each->room;
  });
  return at == peers_.end() ? nullptr : at->get();
}

pipe_peer& pipe_peers::add(std::uint64_t connection, link_side side) {
  auto made = std::make_unique<pipe_peer>();
  made->connection = connection;
  made->side = side;
  const std::lock_guard lock{mutex_};
  peers_.emplace_back(std::move(made));
  find_only();
  return *peers_.back();
}

void pipe_peers::join(pipe_peer& who, pipe_mailbox::arrival& news) {
  const std::lock_guard lock{mutex_};
  who.room = std::move(news.room);
  who.link = std::move(news.link);
  if (who.link) {
    who.in = &who.link->in(who.side);
    who.out = &who.link->out(who.side);
  }
  find_only();
}

void pipe_peers::find_only() noexcept {
  const bool is_alone = peers_.size() == 1;
  only_in_ = is_alone ? peers_.front()->in : nullptr;
  only_out_ = is_alone ? peers_.front()->out : nullptr;
}

void pipe_peers::settle() {
  for (const auto& each : peers_) {
    if (each->link) {
      each->link->settle();
    }
  }
  lose_gone();
}

void pipe_peers::lose_gone() {
  for (std::size_t index = 0; index < peers_.size();) {
    pipe_peer& each = *peers_[index];
    if (each.out != nullptr && each.out->closed()) {
      close_out(each);
    }
    if (each.in != nullptr && each.in->drained()) {
      lose(index);
    } else {
      ++index;
    }
  }
}

void pipe_peers::forget_parted() {
  if (parting_.empty()) {
    return;
  }
  const std::lock_guard lock{mutex_};
  std::erase_if(parting_, [this](const auto& each) {
    const auto left = each->link->unread_of(each->side);
    counters_.dropped_gone.add(left.is_lost ? left.count : 0);
    return left.is_lost || left.count == 0;
  });
}

std::unique_ptr<pipe_peer> pipe_peers::take_out(std::size_t index) {
  pipe_peer& who = *peers_[index];
  if (who.out != nullptr && who.out->closed()) {
    close_out(who);
  }
  forget_(who);
  std::erase(lively_, &who);
  const std::lock_guard lock{mutex_};
  std::unique_ptr<pipe_peer> lost = std::move(peers_[index]);
  peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(index));
  find_only();
  return lost;
}

std::size_t pipe_peers::place_of(const pipe_peer& who) const {
  const auto at = std::find_if(peers_.begin(), peers_.end(),
                               [&](const auto& each) { return each.get() == &who; });
  return static_cast<std::size_t>(at - peers_.begin());
}

void pipe_peers::lose(pipe_peer& who) { lose(place_of(who)); }

void pipe_peers::close_out(pipe_peer& who) {
  static_cast<void>(who.out->closed());  // acquire: that it is gone was said before
  const auto left = who.link->unread_of(who.side);
  {
    const std::lock_guard lock{mutex_};
    counters_.dropped_gone.add(left.is_lost ? left.count : 0);  // exact: we do not push any more
    who.out = nullptr;
    find_only();
  }
  if (left.is_lost) {
    who.link->throw_away(other(who.side));  // what we pushed while it left
  }
}

void pipe_peers::part(std::uint64_t connection) {
  for (std::size_t index = 0; index < peers_.size();) {
    if (peers_[index]->connection != connection) {
      ++index;
      continue;
    }
    part_at(index);
  }
}

void pipe_peers::part(pipe_peer& who) { part_at(place_of(who)); }

void pipe_peers::make_room_to_part() {
  const std::lock_guard lock{mutex_};
  if (parting_.size() == parting_.capacity()) {
    parting_.reserve(2 * parting_.size() + 1);
  }
}

void pipe_peers::part_at(std::size_t index) {
  make_room_to_part();  // before anything changes
  auto who = take_out(index);
  if (who->link) {
    who->link->leave(who->side);
  }
  const std::lock_guard lock{mutex_};
  if (who->room) {
    const std::lock_guard waiting{who->room->mutex};
    counters_.dropped_gone.add(who->room->messages.size());
  } else if (who->link && who->out != nullptr) {
    parting_.push_back(std::move(who));
  }
}

bool pipe_peers::leave() noexcept {
  {
    const std::lock_guard lock{mutex_};
    for (const auto& each : peers_) {
      if (const auto room = std::exchange(each->room, nullptr)) {
        const std::lock_guard waiting{room->mutex};
        each->link = room->link;  // joined, and we have not heard of it yet; null: still waiting
        each->out = each->link ? &each->link->out(each->side) : nullptr;
      }
    }
  }
  for (const auto& each : peers_) {
    if (each->link) {
      each->link->leave(each->side);
    }
  }
  const std::lock_guard lock{mutex_};
  std::erase_if(peers_, [](const auto& each) {
    return each->out == nullptr || each->link->unread_of(each->side).count == 0;
  });
  return !peers_.empty() || !parting_.empty();
}

std::size_t pipe_peers::waiting_for_bind() const {
  std::size_t count = 0;
  for (const auto& each : peers_) {
    if (each->room) {
      const std::lock_guard waiting{each->room->mutex};
      count += each->room->messages.size();  // none any more, if joined meanwhile
    }
  }
  return count;
}

std::size_t pipe_peers::clear_rooms() {
  std::size_t unsent = 0;
  for (const auto& each : peers_) {
    if (each->room) {
      const std::lock_guard waiting{each->room->mutex};
      unsent += each->room->messages.size();
      each->room->messages.clear();
    }
  }
  counters_.dropped_gone.add(unsent);
  return unsent;
}

// Messages.

pipe_peer* pipe_peers::pop_of_many(message& into) {
  do {
    while (!lively_.empty() && lively_pops_ > 0) {
      if (lively_next_ >= lively_.size()) {
        lively_next_ = 0;
      }
      pipe_peer& next = *lively_[lively_next_];
      if (next.in->try_pop_n(
              [&](auto&& each) { std::forward<decltype(each)>(each).unpack_into(into); }, 1) != 0) {
        ++lively_next_;
        --lively_pops_;
        counters_.received(into);
        return &next;
      }
      lively_.erase(lively_.begin() + static_cast<std::ptrdiff_t>(lively_next_));
    }
  } while (find_lively());
  return nullptr;
}

bool pipe_peers::find_lively() {
  lively_.clear();
  for (std::size_t index = 0; index < peers_.size();) {
    pipe_peer& each = *peers_[index];
    if (each.in != nullptr && each.in->readable()) {
      if (each.in->drained()) {
        lose(index);
        continue;
      }
      lively_.push_back(&each);
    }
    ++index;
  }
  lively_next_ = 0;
  lively_pops_ = peers_.size();
  return !lively_.empty();
}

void pipe_peers::put_or_drop(pipe_peer& to, message&& outgoing) {
  if (!put(to, outgoing)) {
    counters_.sent(outgoing.bytes());
    (to.out == nullptr ? counters_.dropped_gone : counters_.dropped_full).add(1);
    outgoing.clear();
  }
}

bool pipe_peers::has_room(const pipe_peer& who) const {
  if (who.out != nullptr) {
    return !who.out->closed() && who.out->writable();
  }
  if (who.room && !options_.only_connected) {
    const std::lock_guard lock{who.room->mutex};
    return !who.room->link && who.room->messages.size() < who.room->limit;
  }
  return false;
}

pipe_peer* pipe_peers::next_with_room() {
  for (std::size_t tried = 0; tried < peers_.size();) {
    if (send_next_ >= peers_.size()) {
      send_next_ = 0;
    }
    pipe_peer& next = *peers_[send_next_];
    if (has_room(next)) {
      return &next;
    }
    if (next.out != nullptr && next.out->closed()) {
      close_out(next);
    }
    if (is_over(next)) {
      lose(send_next_);
      continue;
    }
    ++send_next_;
    ++tried;
  }
  return nullptr;
}

void pipe_peers::add_to(socket_statistics& figures) const {
  const std::lock_guard lock{mutex_};
  for (const auto* group : {&peers_, &parting_}) {
    for (const auto& each : *group) {
      if (each->out != nullptr) {
        const auto left = each->link->unread_of(each->side);
        (left.is_lost ? figures.dropped_gone : figures.queued) += left.count;
        figures.peers += each->out->closed() ? 0 : 1;
      } else if (each->room) {
        const std::lock_guard waiting{each->room->mutex};
        const auto& link = each->room->link;
        const std::size_t waits = each->room->messages.size();
        const auto left = link ? link->unread_of(each->side) : pipe_link::unread{waits, false};
        (left.is_lost ? figures.dropped_gone : figures.queued) += left.count;
        figures.peers += link ? 1 : 0;
      }
    }
  }
}

}  // namespace parley::detail
