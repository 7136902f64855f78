// SPDX-License-Identifier: MPL-2.0
//
// Any bytes after a bundle's head are refused, or are the sizes and messages that the reader gives,
// one after the other; each message is one or is none.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "call_bundle.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string head{"\xffPRC\x01\x20", 6};
  const frame bytes{head + std::string(reinterpret_cast<const char*>(data), size)};
  require(is_bundle(bytes));
  auto reader = bundle_reader::open(bytes);
  if (!reader) return 0;
  std::string again = head;
  std::size_t count = 0;
  while (reader->has_more()) {
    const std::string_view next = reader->next();
    again += static_cast<char>(next.size() >> 8);
    again += static_cast<char>(next.size() & 0xff);
    again += next;
    ++count;
    if (parse_header(next)) {
      require(next.size() == header_size + carried_by(next).size());
    }
  }
  require(count == reader->count());
  require(bytes == again);
  return 0;
}
