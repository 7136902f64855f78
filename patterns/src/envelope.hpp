// SPDX-License-Identifier: MPL-2.0
//
// The address frames that a request carries in front of its payload, up to and including an empty
// delimiter (RFC 28). Does no I/O.
//
// A client puts the call's id, eight bytes, before the delimiter. REP sockets and our servers send
// the whole envelope back, so each reply names its call, whatever the payload is.
#pragma once

#include <parley/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace parley::detail {

// How many frames belong to the envelope: those up to the delimiter, or, without one, the first
// `at_least` (a router's identity frame).
[[nodiscard]] std::size_t envelope_size(const message& received, std::size_t at_least) noexcept;

// The id, the delimiter, then the payload's frames.
[[nodiscard]] message address_call(std::uint64_t id, message payload);

// The id that address_call gave; nothing when the reply carries none.
[[nodiscard]] std::optional<std::uint64_t> call_of(const message& reply) noexcept;

}  // namespace parley::detail
