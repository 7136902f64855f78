// SPDX-License-Identifier: MPL-2.0
#include <parley/peer_file.hpp>

namespace parley {

std::string_view to_string(file_failure why) noexcept {
  switch (why) {
    case file_failure::none:
      return "none";
    case file_failure::declined:
      return "declined";
    case file_failure::cancelled:
      return "cancelled";
    case file_failure::peer_gone:
      return "peer gone";
    case file_failure::unsupported:
      return "its program takes no files";
    case file_failure::too_large:
      return "too large";
    case file_failure::busy:
      return "too many files at once";
    case file_failure::changed:
      return "the file has changed";
    case file_failure::checksum:
      return "wrong checksum";
    case file_failure::disk_full:
      return "disk full";
    case file_failure::exists:
      return "there is one of that name";
    case file_failure::cannot_read:
      return "cannot be read";
    case file_failure::cannot_write:
      return "cannot be written";
    case file_failure::nonsense:
      return "broken protocol";
  }
  return "unknown";
}

}  // namespace parley
