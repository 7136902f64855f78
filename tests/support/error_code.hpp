// SPDX-License-Identifier: MPL-2.0
//
// Which of parley's errors a call throws.
#pragma once

#include <parley/error.hpp>

namespace parley::support {

// None of them, errc{}: the call returned.
template<class Call>
errc code_of(Call call) {
  try {
    call();
  } catch (const error& caught) {
    return static_cast<errc>(caught.code().value());
  }
  return errc{};
}

}  // namespace parley::support
