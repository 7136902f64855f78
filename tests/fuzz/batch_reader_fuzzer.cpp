// SPDX-License-Identifier: MPL-2.0
//
// Any bytes after a batch's head are refused, or give messages that, packed again, are the same
// bytes: the format has one way to say a thing.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "batch_reader.hpp"
#include "batch_writer.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr batch_label label{'f', 'u', 'z', 'z'};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes{batch_magic};
  bytes.append(label.data(), label.size());
  bytes.append(reinterpret_cast<const char*>(data), size);
  require(looks_like_batch(bytes.data(), bytes.size()));
  batch_reader reader;
  if (!reader.open(frame{bytes})) {
    require(!reader.has_more());
    return 0;
  }
  batch_writer writer{bytes.size(), label};
  std::vector<message> kept;
  while (reader.has_more()) {
    message next;
    reader.next(next);
    require(!next.empty());
    require(writer.add(next));
    kept.push_back(std::move(next));
  }
  require(writer.batch() == bytes);
  for (const message& each : kept) {  // they outlive the reader's hold of the batch
    require(writer.front() == each);
    writer.drop_front(each);
  }
  require(writer.empty());
  return 0;
}
