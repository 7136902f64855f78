// SPDX-License-Identifier: MPL-2.0
//
// Writes one frame straight to the end of a buffer: the command when made, then headers, then
// finish(). Names and values are escaped as the version asks; CONNECT and CONNECTED never are.
//
// What a version cannot express (1.0 and line feeds, say) becomes a space: a value from one client
// must not turn into headers at another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stomp/frame.hpp"

namespace parley::stomp {

// Also right for CONNECT and CONNECTED, with v1_0.
void append_escaped(std::string& out, std::string_view text, version form);
void append_number(std::string& out, std::uint64_t number);

// "name:value\n", escaped. A name with a colon is left out for 1.0: it would be another header.
inline void append_header(std::string& out, std::string_view name, std::string_view value,
                          version form) {
  if (form == version::v1_0 && name.find(':') != std::string_view::npos) return;
  append_escaped(out, name, form);
  out += ':';
  append_escaped(out, value, form);
  out += '\n';
}

class frame_writer {
 public:
  frame_writer(std::string& out, command verb, version form)
      : out_{out},
        form_{verb == command::connect || verb == command::connected ? version::v1_0 : form} {
    out_ += to_string(verb);
    out_ += '\n';
  }

  frame_writer& header(std::string_view name, std::string_view value) {
    append_header(out_, name, value, form_);
    return *this;
  }

  void finish() { out_.append("\n\0", 2); }

  // With the content-length that lets the body hold any bytes.
  void finish(std::string_view body) {
    out_ += "content-length:";
    append_number(out_, body.size());
    out_ += "\n\n";
    out_ += body;
    out_ += '\0';
  }

 private:
  std::string& out_;
  version form_;
};

}  // namespace parley::stomp
