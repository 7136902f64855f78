// SPDX-License-Identifier: MPL-2.0
#include <parley/codec.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

std::string_view kind_of(const msgpack::object& value) {
  switch (value.type) {
    case msgpack::type::NIL:
      return "nil";
    case msgpack::type::BOOLEAN:
      return "a boolean";
    case msgpack::type::POSITIVE_INTEGER:
    case msgpack::type::NEGATIVE_INTEGER:
      return "an integer";
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return "a float";
    case msgpack::type::STR:
      return "a string";
    case msgpack::type::BIN:
      return "a binary";
    case msgpack::type::ARRAY:
      return "an array";
    case msgpack::type::MAP:
      return "a map";
    case msgpack::type::EXT:
      return "an extension";
  }
  return "something unknown";
}

// Goes over a value without building it. A container's claim of elements that the bytes could not
// hold, alone or together with the containers around it, is refused before memory is taken for it.
class claim_checker : public msgpack::null_visitor {
 public:
  explicit claim_checker(std::size_t bytes) : bytes_{bytes} {}
  [[nodiscard]] bool too_much() const noexcept { return too_much_; }

  bool start_array(std::uint32_t count) { return claim(count); }
  bool start_map(std::uint32_t count) { return claim(2 * std::size_t{count}); }
  bool end_array_item() { return met(); }
  bool end_map_key() { return met(); }
  bool end_map_value() { return met(); }

 private:
  bool claim(std::size_t count) {
    claimed_ += count;
    too_much_ = claimed_ > bytes_;
    return !too_much_;
  }
  bool met() {
    --claimed_;
    return true;
  }

  std::size_t bytes_;
  std::size_t claimed_ = 0;  // elements that open containers still wait for
  bool too_much_ = false;
};

void check_claims(std::string_view bytes) {
  claim_checker checker{bytes.size()};
  std::size_t used = 0;
  static_cast<void>(msgpack::parse(bytes.data(), bytes.size(), used, checker));
  if (checker.too_much()) {
    throw protocol_error{"MessagePack value claims more elements than its " +
                         std::to_string(bytes.size()) + " bytes can hold"};
  }
  // What else may be wrong with it, unpack says.
}

}  // namespace

msgpack::object_handle unpack(std::string_view bytes) {
  check_claims(bytes);
  const msgpack::unpack_limit limit{bytes.size(), bytes.size(), bytes.size(),
                                    bytes.size(), bytes.size(), max_decode_depth};
  std::size_t used = 0;
  try {
    // Most values are small, and malloc gives 8 KiB, msgpack-c's usual chunk, the slow way.
    auto zone = std::make_unique<msgpack::zone>(
        std::clamp<std::size_t>(8 * bytes.size(), 256, MSGPACK_ZONE_CHUNK_SIZE));
    const msgpack::object found = msgpack::unpack(
        *zone, bytes.data(), bytes.size(), used,
        [](msgpack::type::object_type, std::size_t, void*) { return true; }, nullptr, limit);
    msgpack::object_handle value{found, std::move(zone)};
    if (used != bytes.size()) {
      throw protocol_error{"MessagePack value is followed by " +
                           std::to_string(bytes.size() - used) + " more bytes"};
    }
    return value;
  } catch (const msgpack::insufficient_bytes&) {
    throw protocol_error{"MessagePack value is cut short at " + std::to_string(bytes.size()) +
                         " bytes"};
  } catch (const msgpack::depth_size_overflow&) {
    throw protocol_error{"MessagePack value is nested deeper than " +
                         std::to_string(max_decode_depth)};
  } catch (const msgpack::unpack_error& failure) {
    throw protocol_error{"not a MessagePack value: " + std::string{failure.what()}};
  }
}

void throw_wrong_type(const msgpack::object& found) {
  throw protocol_error{"MessagePack value has the wrong type: found " +
                       std::string{kind_of(found)}};
}

}  // namespace parley::detail
