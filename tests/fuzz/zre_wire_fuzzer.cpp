// SPDX-License-Identifier: MPL-2.0
//
// What is read of a first frame, or of a beacon, and written again is read the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "peers/beacon.hpp"
#include "peers/zre_wire.hpp"

using namespace parley::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  if (const auto heard = read_beacon(bytes)) {
    require(write_beacon(*heard) == bytes);
  }
  zre_message message;
  if (read_zre(bytes, message) != zre_reading::good || message.what == zre_message::kind::elect ||
      message.what == zre_message::kind::leader) {
    return 0;
  }
  const std::string written = write_zre(message);
  require(written.size() <= size);  // no list is longer than its bytes
  zre_message again;
  require(read_zre(written, again) == zre_reading::good);
  require(write_zre(again) == written);
  return 0;
}
