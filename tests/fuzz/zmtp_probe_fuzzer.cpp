// SPDX-License-Identifier: MPL-2.0
//
// Whatever the other side of a probe sends, in any split, the answer is the same.
// The first byte of the input says how the rest is split.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "zmtp_probe.hpp"

using parley::detail::zmtp_probe;

namespace {

zmtp_probe::answer read(std::string_view bytes, std::size_t step) {
  zmtp_probe probe;
  auto answer = zmtp_probe::answer::pending;
  while (!bytes.empty() && answer == zmtp_probe::answer::pending) {
    answer = probe.receive(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  if (read(bytes, bytes.size() + 1) != read(bytes, 1 + data[0] % 80)) std::abort();
  return 0;
}
