// SPDX-License-Identifier: MPL-2.0
//
// The one door through which libzmq's errno values become parley::error.
#pragma once

#include <cerrno>
#include <string>

#include <zmq.hpp>

namespace parley::detail {

// detail: what was tried, and where.
[[noreturn]] void throw_zmq_error(int code, const std::string& detail);

// Runs call; a zmq::error_t that it throws leaves as parley::error. detail() is asked for the words
// only then: building them costs more than a send. A signal may end any of libzmq's calls before
// it did anything: then call is run again.
template<class Detail, class Call>
decltype(auto) with_zmq_errors(Detail&& detail, Call&& call) {
  for (;;) {
    try {
      return call();
    } catch (const zmq::error_t& failure) {
      if (failure.num() != EINTR) {
        throw_zmq_error(failure.num(), detail());
      }
    }
  }
}

}  // namespace parley::detail
