// SPDX-License-Identifier: MPL-2.0
//
// Gives the precompiled header, which all test programs share, a target to be built by.
#include "support/catch.hpp"
