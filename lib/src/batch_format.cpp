// SPDX-License-Identifier: MPL-2.0
#include "batch_format.hpp"

#include <random>

namespace parley::detail {

batch_label fresh_batch_label() {
  std::random_device source;
  batch_label made{};
  for (char& each : made) {
    each = "0123456789abcdef"[source() % 16];
  }
  return made;
}

}  // namespace parley::detail
