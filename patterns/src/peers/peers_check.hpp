// SPDX-License-Identifier: MPL-2.0
//
// What a program may ask of a node. Throw config_error, which says why it may not.
#pragma once

#include <parley/peers.hpp>

#include <string_view>

namespace parley::detail {

void check_peers_options(const peers_options& options);
// Of a program: no service.
void check_group(std::string_view group);

}  // namespace parley::detail
