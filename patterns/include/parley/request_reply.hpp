// SPDX-License-Identifier: MPL-2.0
//
// Request-reply: a server has methods by name, a client calls them.
#pragma once

#include <parley/client.hpp>
#include <parley/server.hpp>
