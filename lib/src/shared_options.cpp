// SPDX-License-Identifier: MPL-2.0
#include "shared_options.hpp"

namespace parley::detail {
namespace {

const shared_options made_at_load{socket_options{}};  // so that no fork() finds them half made

}  // namespace

shared_options::shared_options(const socket_options& options)
    : own_{options == defaults() ? nullptr : std::make_shared<const socket_options>(options)} {}

const socket_options& shared_options::defaults() {
  static const socket_options& made = *new socket_options;  // never destroyed
  return made;
}

}  // namespace parley::detail
