// SPDX-License-Identifier: MPL-2.0
//
// Any bytes, in any split, give the same frames, and writing those frames gives them back.
// The first byte of the input picks the version, the second how the rest is split.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "stomp/frame_reader.hpp"
#include "stomp/frame_writer.hpp"

using namespace parley::stomp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr frame_limits limits{.headers = 20, .header_line = 200, .body = 2'000};

struct owned {
  command verb;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool operator==(const owned&) const = default;
};

struct reading {
  std::vector<owned> frames;
  std::string problem;
  bool operator==(const reading&) const = default;
};

reading read(std::string_view bytes, version form, std::size_t step) {
  frame_reader reader{limits};
  reader.set_version(form);
  reading result;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string_view piece = bytes.substr(at, step);
    std::memcpy(reader.prepare(piece.size()).data(), piece.data(), piece.size());
    reader.commit(piece.size());
    for (;;) {
      const auto outcome = reader.next();
      if (outcome == frame_reader::outcome::more) break;
      if (outcome == frame_reader::outcome::wrong) {
        result.problem = reader.problem();
        require(!result.problem.empty());
        return result;
      }
      const frame& got = reader.current();
      require(got.headers.size() <= limits.headers && got.body.size() <= limits.body);
      owned copy{got.verb, {}, std::string{got.body}};
      for (const header& each : got.headers)
        copy.headers.emplace_back(each.name, each.value);
      result.frames.push_back(std::move(copy));
    }
  }
  return result;
}

// What 1.2 can say comes back as it was. Names and values of other versions may hold what they
// cannot say themselves only in ways that their reader has refused.
void require_round_trip(const owned& original) {
  std::string bytes;
  frame_writer out{bytes, original.verb, version::v1_2};
  if (original.verb == command::connect || original.verb == command::connected) return;
  for (const auto& [name, value] : original.headers) {
    if (name != "content-length") out.header(name, value);
  }
  if (may_have_body(original.verb)) {
    out.finish(original.body);
  } else {
    out.finish();
  }
  frame_reader reader{{.headers = 21, .header_line = 500, .body = 2'000}};
  reader.set_version(version::v1_2);
  std::memcpy(reader.prepare(bytes.size()).data(), bytes.data(), bytes.size());
  reader.commit(bytes.size());
  require(reader.next() == frame_reader::outcome::frame);
  require(reader.current().body == original.body);
  for (const auto& [name, value] : original.headers) {
    if (name != "content-length") require(reader.current().find(name).has_value());
  }
  require(reader.next() == frame_reader::outcome::more);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto form = static_cast<version>(data[0] % 3);
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
  const reading whole = read(bytes, form, bytes.size() + 1);
  require(read(bytes, form, 1 + data[1] % 64) == whole);
  for (const owned& each : whole.frames)
    require_round_trip(each);
  return 0;
}
