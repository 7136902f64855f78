// SPDX-License-Identifier: MPL-2.0
//
// Frames as text that a human can compare, and bytes as frames.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "stomp/frame.hpp"
#include "stomp/frame_reader.hpp"

namespace parley::stomp {

// "SEND [destination=/queue/a] [x=1] body"
inline std::string to_text(const frame& shown) {
  std::string out{to_string(shown.verb)};
  for (const header& each : shown.headers) {
    out.append(" [").append(each.name).append("=").append(each.value).append("]");
  }
  if (!shown.body.empty()) out.append(" ").append(shown.body);
  return out;
}

inline void feed(frame_reader& reader, std::string_view bytes) {
  if (bytes.empty()) return;
  const auto room = reader.prepare(bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  reader.commit(bytes.size());
}

// All frames that are complete now; the last line is "wrong: ..." when the stream is broken.
inline std::vector<std::string> take_all(frame_reader& reader) {
  std::vector<std::string> out;
  for (;;) {
    switch (reader.next()) {
      case frame_reader::outcome::frame:
        out.push_back(to_text(reader.current()));
        break;
      case frame_reader::outcome::more:
        return out;
      case frame_reader::outcome::wrong:
        out.push_back("wrong: " + reader.problem());
        return out;
    }
  }
}

inline std::vector<std::string> read_all(std::string_view bytes, version form = version::v1_2,
                                         const frame_limits& limits = {}) {
  frame_reader reader{limits};
  reader.set_version(form);
  feed(reader, bytes);
  return take_all(reader);
}

// One line, for what should be one frame or one problem.
inline std::string read_one(std::string_view bytes, version form = version::v1_2,
                            const frame_limits& limits = {}) {
  const auto all = read_all(bytes, form, limits);
  return all.empty() ? "more" : all.size() == 1 ? all[0] : all[0] + " and more";
}

// A literal that may hold NULs.
template<std::size_t N>
std::string bytes(const char (&literal)[N]) {
  return {literal, N - 1};
}

}  // namespace parley::stomp
