// SPDX-License-Identifier: MPL-2.0
//
// Why something failed that several threads wait for: each throws an error of its own, so that no
// thread looks at what another one lets go.
#pragma once

#include <parley/error.hpp>

#include <exception>
#include <string>
#include <string_view>

namespace parley::detail {

class shared_failure {
 public:
  // Call it in a handler.
  void catch_current() {
    try {
      throw;
    } catch (const error& failure) {
      code_ = static_cast<errc>(failure.code().value());
      const std::string_view what = failure.what();
      // Without the sentence, which the next error adds again.
      detail_ = what.substr(0, what.size() - failure.code().message().size() - 2);
    } catch (const std::exception& failure) {
      code_ = errc::internal;
      detail_ = failure.what();
    }
  }
  explicit operator bool() const noexcept { return code_ != errc{}; }
  // Any number of threads, when it is known.
  [[noreturn]] void rethrow() const { throw error{code_, detail_}; }

 private:
  errc code_{};
  std::string detail_;
};

}  // namespace parley::detail
