// SPDX-License-Identifier: MPL-2.0
#include "zmq_error.hpp"

#include <parley/error.hpp>

#include <cerrno>

namespace parley::detail {

void throw_zmq_error(int code, const std::string& detail) {
  const std::string reason = " (" + std::string{zmq_strerror(code)} + ")";
  switch (code) {
    case ETERM:
    case ENOTSOCK:
      throw closed{detail};
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EACCES:
    case ENODEV:
      throw error{errc::cannot_bind, detail + reason};
    case ECONNREFUSED:
    case EHOSTUNREACH:
      throw error{errc::cannot_connect, detail + reason};
    case EINVAL:
    case ENOENT:
      throw error{errc::invalid_endpoint, detail + reason};
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case ENOTSUP:
      throw error{errc::unsupported, detail + reason};
    case EFSM:
      throw error{errc::out_of_turn, detail};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EMTHREAD:
      throw error{errc::out_of_resources, detail + reason};
    default:
      throw error{errc::internal, detail + reason};
  }
}

}  // namespace parley::detail
