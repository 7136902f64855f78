// SPDX-License-Identifier: MPL-2.0
#include "pipe_conversation.hpp"

#include "pipe_envelope.hpp"

#include <cstddef>
#include <new>
#include <utility>

namespace parley::detail {

pipe_conversation::pipe_conversation(socket_kind kind, const socket_options& options,
                                     pipe_peers& peers, socket_counters& counters)
    : asks_anew_{kind == socket_kind::req && options.relaxed}, peers_{peers}, counters_{counters} {
  if (kind == socket_kind::req) {
    turn_ = turn::send;
  } else if (kind == socket_kind::rep) {
    turn_ = turn::receive;
  }
}

bool pipe_conversation::ask(message& outgoing) {
  pipe_peer* const to = peers_.next_with_room();
  if (to == nullptr) {
    return false;
  }
  peers_.pass_turn();
  message prefix;
  if (asks_anew_) {
    ++request_id_;
    prefix.push_back(frame{&request_id_, sizeof request_id_});
  }
  prefix.push_back(frame{});
  message request = with_prefix(prefix, outgoing);
  if (!peers_.put(*to, request)) {
    request.drop_front(prefix.size());
    outgoing = std::move(request);
    return false;
  }
  talking_to_ = to;
  turn_ = turn::receive;
  return true;
}

bool pipe_conversation::fetch_reply(message& into) {
  const std::size_t delimiter = asks_anew_ ? 1 : 0;
  const auto is_ours = [&] {
    return into.size() > delimiter + 1 && into[delimiter].empty() &&
           (!asks_anew_ || into.front() == frame{&request_id_, sizeof request_id_});
  };
  while (const pipe_peer* const from = peers_.pop(into)) {
    if ((talking_to_ == nullptr || from == talking_to_) && is_ours()) {
      into.drop_front(delimiter + 1);
      return true;
    }
    into.clear();
    counters_.dropped_unwanted.add(1);
  }
  return false;
}

inline bool pipe_conversation::pop_request(message& into, pipe_peer*& from) {
  if (has_untaken()) [[unlikely]] {
    into = std::exchange(untaken_, {});
    from = std::exchange(untaken_from_, nullptr);
    return true;
  }
  from = peers_.pop(into);
  return from != nullptr;
}

bool pipe_conversation::fetch_request(message& into) {
  pipe_peer* from = nullptr;
  while (pop_request(into, from)) {
    std::size_t delimiter = 0;
    while (delimiter < into.size() && !into[delimiter].empty()) {
      ++delimiter;
    }
    if (delimiter + 1 < into.size()) {
      envelope_.clear();
      try {
        envelope_.reserve(delimiter + 1);
      } catch (const std::bad_alloc&) {
        untaken_ = std::move(into);
        untaken_from_ = from;
        throw;
      }
      for (std::size_t index = 0; index <= delimiter; ++index) {
        envelope_.push_back(std::move(into[index]));
      }
      into.drop_front(delimiter + 1);
      talking_to_ = from;
      return true;
    }
    into.clear();
    counters_.dropped_unwanted.add(1);
  }
  return false;
}

// As a router would: who is gone, or does not read, loses the reply.
void pipe_conversation::reply(message& outgoing) {
  message whole = with_prefix(envelope_, outgoing);
  turn_ = turn::receive;
  if (talking_to_ != nullptr) {
    peers_.put_or_drop(*talking_to_, std::move(whole));
  } else {
    counters_.sent(whole.bytes());
    counters_.dropped_gone.add(1);
  }
}

void pipe_conversation::forget(const pipe_peer& who) noexcept {
  if (talking_to_ == &who) {
    talking_to_ = nullptr;
  }
  if (untaken_from_ == &who) {
    untaken_from_ = nullptr;
  }
}

}  // namespace parley::detail
