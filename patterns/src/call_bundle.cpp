// SPDX-License-Identifier: MPL-2.0
#include "call_bundle.hpp"

#include "network_order.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>

namespace parley::detail {
namespace {

// The header's magic, and what no header is.
constexpr std::string_view head{"\xffPRC\x01\x20", 6};
// Of a bundle, in bytes. Taking one apart needs a multiple of it in memory.
constexpr std::size_t largest = 64 * 1024;
constexpr std::size_t size_octets = 2;

std::size_t size_at(std::string_view bytes) noexcept {
  return static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8 |
         static_cast<unsigned char>(bytes[1]);
}

}  // namespace

// Writing.

bool bundle_writer::write(const call_header& header, std::string_view payload) {
  const std::size_t size = header_size + payload.size();
  if (empty()) {
    if (bytes_ == nullptr) {
      bytes_.reset(new char[most]);
    }
    std::memcpy(bytes_.get(), head.data(), head.size());
    used_ = head.size();
  }
  if (used_ + size_octets + size > most) {
    return false;
  }
  char* into = bytes_.get() + used_;
  into = put_number(into, static_cast<std::uint16_t>(size));
  write_header(into, header);
  if (!payload.empty()) {
    std::memcpy(into + header_size, payload.data(), payload.size());
  }
  used_ += size_octets + size;
  ++count_;
  return true;
}

bool bundle_writer::add(const call_header& header) { return write(header, {}); }

bool bundle_writer::add(call_header header, const frame& payload) {
  assert(payload.size() <= call_header::most_carried);
  header.flags |= call_header::carries;
  return write(header, payload.view());
}

frame bundle_writer::packed() const {
  assert(!empty());
  const std::string_view all{bytes_.get(), used_};
  return frame{count_ == 1 ? all.substr(head.size() + size_octets) : all};
}

// Reading.

bool is_bundle(const frame& bytes) noexcept { return bytes.view().starts_with(head); }

std::optional<bundle_reader> bundle_reader::open(const frame& bytes) noexcept {
  assert(is_bundle(bytes));
  bundle_reader made;
  made.left_ = bytes.view().substr(head.size());
  if (bytes.size() > largest) {
    return std::nullopt;
  }
  for (std::string_view rest = made.left_; !rest.empty(); ++made.count_) {
    if (rest.size() < size_octets || rest.size() - size_octets < size_at(rest)) {
      return std::nullopt;
    }
    rest.remove_prefix(size_octets + size_at(rest));
  }
  return made;
}

std::string_view bundle_reader::next() noexcept {
  assert(has_more());
  const std::string_view found = left_.substr(size_octets, size_at(left_));
  left_.remove_prefix(size_octets + found.size());
  return found;
}

}  // namespace parley::detail
