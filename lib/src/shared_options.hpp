// SPDX-License-Identifier: MPL-2.0
//
// How a socket behaves, for all that it is made of: kept once, by as many as hold it, and for
// sockets that differ in nothing from the default, once for a program. Any thread may hold and read
// it, before main and after it too.
#pragma once

#include <parley/socket_options.hpp>

#include <memory>

namespace parley::detail {

class shared_options {
 public:
  shared_options() = default;  // the default ones
  shared_options(const socket_options& options);

  const socket_options& operator*() const noexcept { return own_ ? *own_ : defaults(); }
  const socket_options* operator->() const noexcept { return &**this; }

 private:
  static const socket_options& defaults();

  std::shared_ptr<const socket_options> own_;  // none: as by default
};

}  // namespace parley::detail
