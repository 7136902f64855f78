// SPDX-License-Identifier: MPL-2.0
//
// Reads one MessagePack value (https://github.com/msgpack/msgpack/blob/master/spec.md) into
// msgpack-c's object in one go. msgpack-c's own parser would have to go over the bytes twice:
// before it takes memory for a container, somebody has to look whether the bytes can hold that.
//
// The bytes are a peer's. No I/O, one thread. Strings and binaries refer to the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <msgpack.hpp>

namespace parley::detail {

class value_reader {
 public:
  enum class outcome {
    good,
    cut_short,
    too_deep,    // beyond max_decode_depth
    too_much,    // open containers claim more elements than there are bytes
    no_value,    // an octet that begins nothing
    more_follow  // bytes behind the value
  };

  // small: memory for the first containers.
  explicit value_reader(std::string_view bytes, std::span<std::byte> small = {}) noexcept
      : at_{bytes.data()}, end_{bytes.data() + bytes.size()}, size_{bytes.size()}, small_{small} {}

  [[nodiscard]] outcome read(msgpack::object& into);
  // What the other containers live in; null: there were none.
  [[nodiscard]] std::unique_ptr<msgpack::zone> take_zone() noexcept { return std::move(zone_); }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

 private:
  [[nodiscard]] outcome value(msgpack::object& into, std::size_t depth);
  template<class Number>
  [[nodiscard]] bool number(Number& into) noexcept;
  template<class Number>
  [[nodiscard]] outcome unsigned_number(msgpack::object& into) noexcept;
  template<class Number>
  [[nodiscard]] outcome signed_number(msgpack::object& into) noexcept;
  template<class Size>
  [[nodiscard]] outcome text(msgpack::object& into, msgpack::type::object_type type) noexcept;
  [[nodiscard]] outcome text(msgpack::object& into, msgpack::type::object_type type,
                             std::uint32_t size) noexcept;
  template<class Size>
  [[nodiscard]] outcome array(msgpack::object& into, std::size_t depth);
  [[nodiscard]] outcome array(msgpack::object& into, std::uint32_t count, std::size_t depth);
  template<class Size>
  [[nodiscard]] outcome map(msgpack::object& into, std::size_t depth);
  [[nodiscard]] outcome map(msgpack::object& into, std::uint32_t count, std::size_t depth);
  [[nodiscard]] outcome claim(std::size_t count, std::size_t depth) noexcept;
  [[nodiscard]] void* memory(std::size_t size);

  const char* at_;
  const char* const end_;
  const std::size_t size_;
  std::size_t claimed_ = 0;     // elements that open containers still wait for
  std::span<std::byte> small_;  // what is left of it
  std::unique_ptr<msgpack::zone> zone_;
};

}  // namespace parley::detail
