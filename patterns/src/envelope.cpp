// SPDX-License-Identifier: MPL-2.0
#include "envelope.hpp"

#include <cstring>
#include <utility>

namespace parley::detail {

std::size_t envelope_size(const message& received, std::size_t at_least) noexcept {
  for (std::size_t index = at_least; index < received.size(); ++index) {
    if (received[index].empty()) {
      return index + 1;
    }
  }
  return at_least;
}

message address_call(std::uint64_t id, message payload) {
  message addressed;
  addressed.reserve(2 + payload.size());
  addressed.push_back(frame{&id, sizeof id});
  addressed.push_back(frame{});
  for (frame& each : payload) {
    addressed.push_back(std::move(each));
  }
  return addressed;
}

std::optional<std::uint64_t> call_of(const message& reply) noexcept {
  std::uint64_t id = 0;
  if (reply.size() < 2 || reply[0].size() != sizeof id || !reply[1].empty()) {
    return std::nullopt;
  }
  std::memcpy(&id, reply[0].data(), sizeof id);
  return id;
}

}  // namespace parley::detail
