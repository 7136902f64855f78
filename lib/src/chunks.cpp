// SPDX-License-Identifier: MPL-2.0
#include <parley/borrowed_frame.hpp>
#include <parley/chunks.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <random>
#include <utility>

namespace parley {
namespace {

// The head of a piece, see docs/wire.md.
constexpr std::string_view magic{"PARLEYc1"};
constexpr std::size_t fixed_bytes = 8 + 8 + 8 + 1;
constexpr std::size_t longest_name = 255;
constexpr char last_flag = 1;
constexpr std::size_t longest_key = 1024;  // of a body that is under way: what a sender may cost us

void put_number(std::string& to, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    to.push_back(static_cast<char>(number >> shift & 0xff));
  }
}

std::uint64_t number_at(std::string_view text, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t index = 0; index < 8; ++index) {
    number = number << 8 | static_cast<unsigned char>(text[at + index]);
  }
  return number;
}

struct head {
  std::uint64_t id;
  std::uint64_t offset;
  bool is_last;
  std::string_view name;
};

std::optional<head> read_head(std::string_view text) {
  if (text.size() < fixed_bytes || text.size() > fixed_bytes + longest_name ||
      text.substr(0, magic.size()) != magic || static_cast<unsigned char>(text[24]) > last_flag) {
    return std::nullopt;
  }
  return head{number_at(text, 8), number_at(text, 16), text[24] == last_flag,
              text.substr(fixed_bytes)};
}

std::uint64_t random_id() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

chunk_cutter::source slices(const frame& body, std::size_t chunk_bytes) {
  assert(chunk_bytes > 0);
  return [body, chunk_bytes, offset = std::size_t{0}]() mutable {
    const std::size_t size = std::min(chunk_bytes, body.size() - offset);
    return slice(body, std::exchange(offset, offset + size), size);
  };
}

}  // namespace

chunk_cutter::chunk_cutter(std::string_view name, source body, message prefix)
    : name_{name}, body_{std::move(body)}, prefix_{std::move(prefix)}, id_{random_id()} {
  assert(name_.size() <= longest_name);
}

chunk_cutter::chunk_cutter(std::string_view name, const frame& body, message prefix,
                           std::size_t chunk_bytes)
    : chunk_cutter{name, slices(body, chunk_bytes), std::move(prefix)} {}

std::optional<message> chunk_cutter::next() {
  if (is_done_) {
    return std::nullopt;
  }
  if (!ahead_) {
    ahead_ = body_();
  }
  // Read before anything is given away: the source may throw, and be asked again.
  frame following = ahead_->empty() ? frame{} : body_();
  is_done_ = following.empty();
  return piece(std::exchange(*ahead_, std::move(following)), is_done_);
}

message chunk_cutter::piece(frame bytes, bool is_last) {
  std::string text{magic};
  put_number(text, id_);
  put_number(text, offset_);
  text.push_back(is_last ? last_flag : char{0});
  text += name_;
  offset_ += bytes.size();
  message made{prefix_};
  made.push_back(frame{text});
  made.push_back(std::move(bytes));
  return made;
}

chunk chunk_joiner::take(message&& received) {
  chunk told;
  const std::size_t frames = received.size();
  const auto head = frames >= 2 ? read_head(received[frames - 2].view()) : std::nullopt;
  if (!head) {
    told.foreign_message = std::move(received);
    return told;
  }
  std::string key;
  for (std::size_t index = 0; index + 2 < frames; ++index) {
    put_number(key, received[index].size());
    key += received[index].view();
    told.prefix.push_back(received[index]);
  }
  put_number(key, head->id);
  told.name = head->name;
  told.offset = head->offset;
  told.bytes = received.back();

  auto found = open_.find(key);
  if (found == open_.end()) {
    if (head->offset != 0 || open_.size() >= most_bodies_ || key.size() > longest_key) {
      told.is = head->offset != 0 ? chunk::state::broken : chunk::state::refused;
      return told;
    }
    found = open_.emplace(std::move(key), open_body{++last_number_, 0}).first;
  }
  open_body& body = found->second;
  told.body = body.number;
  const bool fits = head->offset == body.offset && (!told.bytes.empty() || head->is_last);
  body.offset += told.bytes.size();
  told.is = !fits ? chunk::state::broken : head->is_last ? chunk::state::last : chunk::state::more;
  if (told.is != chunk::state::more) {
    open_.erase(found);
  }
  return told;
}

void chunk_joiner::forget(std::uint64_t body) {
  std::erase_if(open_, [body](const auto& each) { return each.second.number == body; });
}

}  // namespace parley
