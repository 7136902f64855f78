// SPDX-License-Identifier: MPL-2.0
//
// Values to bodies and back, as MessagePack
// (https://github.com/msgpack/msgpack/blob/master/spec.md).
//
// Every type that msgpack-c can convert is a body; a struct needs one line, MSGPACK_DEFINE(fields).
// Strings and frames that are given to a pattern as bodies go out as they are, unpacked.
// Decoding trusts nothing: bytes that are too deep, too long for what they claim, cut short,
// followed by more, or of another type throw parley::protocol_error. Any thread may call these.
#pragma once

#include <parley/error.hpp>
#include <parley/frame.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <msgpack.hpp>

namespace parley {

// How deep arrays and maps of a peer may be nested.
inline constexpr std::size_t max_decode_depth = 100;

namespace detail {

// Where msgpack-c packs to: small bodies stay on the stack.
class pack_buffer {
 public:
  void write(const char* data, std::size_t size) {
    if (heap_.empty() && size <= sizeof stack_ - used_) {
      std::memcpy(stack_ + used_, data, size);
      used_ += size;
    } else {
      write_to_heap(data, size);
    }
  }
  [[nodiscard]] frame take() const {
    return heap_.empty() ? frame{stack_, used_} : frame{heap_.data(), heap_.size()};
  }

 private:
  // Not inline, so that the usual case is.
  void write_to_heap(const char* data, std::size_t size);

  char stack_[512];
  std::size_t used_ = 0;
  std::vector<char> heap_;
};

// Exactly one value, unpacked; strings and binaries refer to the given bytes. A small one lives in
// the object.
class unpacked {
 public:
  // Throws protocol_error.
  explicit unpacked(std::string_view bytes);
  unpacked(const unpacked&) = delete;
  unpacked& operator=(const unpacked&) = delete;

  [[nodiscard]] const msgpack::object& get() const noexcept { return value_; }

 private:
  alignas(std::max_align_t) std::byte small_[256];
  std::unique_ptr<msgpack::zone> large_;
  msgpack::object value_;
};

[[noreturn]] void throw_wrong_type(const msgpack::object& found);

}  // namespace detail

template<class T>
[[nodiscard]] frame encode(const T& value) {
  detail::pack_buffer buffer;
  msgpack::pack(buffer, value);
  return buffer.take();
}

// Throws protocol_error.
template<class T>
[[nodiscard]] T decode(const msgpack::object& value) {
  try {
    return value.as<T>();
  } catch (const msgpack::type_error&) {
    detail::throw_wrong_type(value);
  }
}

template<class T>
[[nodiscard]] T decode(std::string_view bytes) {
  static_assert(!std::is_same_v<T, std::string_view>, "the view would outlive what it looks at");
  const detail::unpacked value{bytes};
  return decode<T>(value.get());
}

template<class T>
[[nodiscard]] T decode(const frame& body) {
  return decode<T>(body.view());
}

// What a pattern sends for a value: text and frames as they are, everything else packed.
template<class T>
[[nodiscard]] frame to_body(const T& value) {
  if constexpr (std::is_convertible_v<const T&, frame>) {
    return value;
  } else {
    return encode(value);
  }
}

}  // namespace parley
