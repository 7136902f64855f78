// SPDX-License-Identifier: MPL-2.0
#include "feed_bundle.hpp"

#include <string>

namespace parley::detail {
namespace {

void destroy_bundle(frame::body* self) noexcept { delete static_cast<feed_bundle*>(self); }

}  // namespace

feed_bundle::feed_bundle(bool urgent, std::uint64_t number, std::size_t room, std::size_t count)
    : body{destroy_bundle}, what{feed_entry::kind::message}, is_urgent{urgent}, next{number} {
  bytes.reserve(room);
  parts.reserve(count);
}

feed_bundle::feed_bundle(const feed_entry& told)
    : body{destroy_bundle}, what{told.what}, is_urgent{told.is_urgent}, parts{part{}} {
  std::string packed;
  pack_entry(packed, told);
  bytes.append(packed);
}

feed_bundle::~feed_bundle() {
  if (counted_in_ != nullptr) {
    counted_in_->fetch_sub(counted_, std::memory_order_relaxed);
  }
}

// Relaxed, both: a sum, by which nothing else is told.
void feed_bundle::count_in(const sum& all) {
  if (counted_in_ == nullptr) {
    counted_in_ = all;
    counted_ = cost(0, size());
    all->fetch_add(counted_, std::memory_order_relaxed);
  }
}

bool feed_bundle::begin_part(std::string_view its_topic) {
  const bool is_same = bytes.view().substr(topic_at_, topic_size_) == its_topic;
  parts.push_back({static_cast<std::uint32_t>(bytes.size()), is_same ? as_before : 0});
  return is_same;
}

void feed_bundle::note_topic() noexcept {
  const std::string_view last = topic(size() - 1);
  topic_at_ = static_cast<std::size_t>(last.data() - bytes.data());
  topic_size_ = last.size();
}

void feed_bundle::add(std::string_view its_topic, std::string_view its_small_body) {
  const bool is_same = begin_part(its_topic);
  pack_message(bytes, {is_urgent, next++, its_topic, its_small_body});
  if (!is_same) {
    note_topic();
  }
}

void feed_bundle::add(const feed_entry& relayed, frame&& its_body) {
  static_cast<void>(begin_part(relayed.topic));
  feed_entry message = relayed;
  message.what = what;
  message.is_urgent = is_urgent;
  message.sequence = next++;
  message.body = its_body.view();
  message.body_follows = its_body.size() >= large_body;
  std::string packed;
  pack_entry(packed, message);
  bytes.append(packed);
  note_topic();
  if (message.body_follows) {
    following = std::move(its_body);
  }
}

void feed_bundle::add(const feed_range& some) {
  const std::uint32_t moved = some.of->parts[some.begin].begin;
  const auto moved_to = static_cast<std::uint32_t>(bytes.size());
  for (std::uint32_t index = some.begin; index < some.end; ++index) {
    const part& each = some.of->parts[index];
    parts.push_back({each.begin - moved + moved_to, each.topic});
  }
  bytes.append(some.of->packed(some.begin, some.end));
  if (some.of->is_followed(some.end)) {
    following = some.of->following;
  }
}

void feed_bundle::fit() {
  bytes.fit();
  if (parts.capacity() > 2 * parts.size()) {
    parts.shrink_to_fit();
  }
}

frame feed_bundle::body_of(std::uint32_t index) const {
  if (is_followed(index + 1)) {
    return following;
  }
  std::string_view entry = packed(index, index + 1);
  const auto message = take_entry(entry);
  return message ? frame{message->body} : frame{};
}

feed_range feed_range::alone() const {
  if (size() == of->size()) {
    return *this;
  }
  const std::size_t bytes = of->packed(begin, end).size();
  const feed_ref made{new feed_bundle{of->is_urgent, first(), bytes, size()}};
  made->at = of->at;
  made->add(*this);
  if (of->counted_in_ != nullptr) {
    made->count_in(of->counted_in_);
  }
  return {made, 0, made->size()};
}

frame feed_range::packed() const {
  const std::string_view bytes = of->packed(begin, end);
  if (bytes.size() <= frame::inline_capacity) {
    return frame{bytes};
  }
  of->owners.fetch_add(1, std::memory_order_relaxed);  // we have a share
  return frame::adopt(of.get(), bytes.data(), bytes.size());
}

}  // namespace parley::detail
