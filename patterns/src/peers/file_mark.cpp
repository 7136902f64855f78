// SPDX-License-Identifier: MPL-2.0
#include "file_mark.hpp"

#include "file_name.hpp"
#include "network_order.hpp"
#include "number_reader.hpp"

namespace parley::detail {
namespace {

using kind = file_mark::kind;

constexpr std::string_view signature{"\xffPF\x01", 4};

bool has_offset(kind what) {
  return what != kind::ask && what != kind::withdraw && what != kind::done && what != kind::refuse;
}

bool has_digest(kind what) { return what == kind::accept || what == kind::end; }

bool has_reason(kind what) { return what == kind::withdraw || what == kind::refuse; }

bool is_known(std::uint8_t what) {
  return (what >= 1 && what <= 6) || (what >= 0x11 && what <= 0x14);
}

// One that a later version may know has ended it all the same.
file_failure reason_of(std::uint8_t said) {
  const bool is_one = said >= 1 && said <= static_cast<std::uint8_t>(file_failure::nonsense);
  return is_one ? static_cast<file_failure>(said) : file_failure::cancelled;
}

}  // namespace

std::optional<file_mark> read_file_mark(std::string_view frame) {
  if (!frame.starts_with(signature)) {
    return std::nullopt;
  }
  frame.remove_prefix(signature.size());
  file_mark read;
  std::uint8_t what = 0;
  number_reader in{frame};
  in(what)(read.number);
  if (!is_known(what)) {
    return std::nullopt;
  }
  read.what = static_cast<kind>(what);
  if (has_offset(read.what)) {
    in(read.offset);
  }
  if (read.what == kind::accept) {
    in(read.room);
  }
  if (has_digest(read.what)) {
    for (std::uint8_t& octet : read.digest) {
      in(octet);
    }
  }
  if (has_reason(read.what)) {
    std::uint8_t why = 0;
    in(why);
    read.why = reason_of(why);
  }
  if (read.what == kind::offer) {
    std::string_view name;
    in.text<std::uint8_t>(name);
    read.name = name;
  }
  return in.is_good() && frame.empty() ? std::optional{std::move(read)} : std::nullopt;
}

std::string write_file_mark(const file_mark& written) {
  std::string frame{signature};
  const auto add = [&frame](auto number) {
    char octets[sizeof number];
    put_number(octets, number);
    frame.append(octets, sizeof octets);
  };
  add(static_cast<std::uint8_t>(written.what));
  add(written.number);
  if (has_offset(written.what)) {
    add(written.offset);
  }
  if (written.what == kind::accept) {
    add(written.room);
  }
  if (has_digest(written.what)) {
    frame.append(written.digest.begin(), written.digest.end());
  }
  if (has_reason(written.what)) {
    add(static_cast<std::uint8_t>(written.why));
  }
  if (written.what == kind::offer) {
    const std::string name = written.name.substr(0, 255);
    add(static_cast<std::uint8_t>(name.size()));
    frame += name;
  }
  return frame;
}

}  // namespace parley::detail
