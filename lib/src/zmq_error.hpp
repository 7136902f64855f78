// SPDX-License-Identifier: MPL-2.0
//
// The one door through which libzmq's errno values become parley::error.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <zmq.hpp>

namespace parley::detail {

// detail: what was tried, and where.
[[noreturn]] void throw_zmq_error(int code, const std::string& detail);

// Runs call; a zmq::error_t that it throws leaves as parley::error with the given detail.
template<class Call>
decltype(auto) with_zmq_errors(std::string_view detail, Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const zmq::error_t& failure) {
    throw_zmq_error(failure.num(), std::string{detail});
  }
}

}  // namespace parley::detail
