// SPDX-License-Identifier: MPL-2.0
#include "stomp/destination.hpp"

#include <algorithm>
#include <utility>

#include "stomp/quote.hpp"

namespace parley::stomp {

std::optional<destination> destination::parse(std::string_view text) {
  static constexpr std::pair<std::string_view, kind> kinds[]{
      {"/topic/", kind::topic},
      {"/queue/", kind::queue},
      {"/service/", kind::service},
      {"/temp-queue/", kind::temp_queue},
      {"/reply-queue/", kind::reply_queue},
  };
  for (const auto& [word, what] : kinds) {
    if (!text.starts_with(word) || text.size() == word.size()) continue;
    destination found{what, text.substr(word.size()), {}};
    if (what == kind::service) {
      const std::size_t slash = found.name.find('/');
      found.method = slash == std::string_view::npos ? found.name : found.name.substr(slash + 1);
      found.name = found.name.substr(0, slash);
      if (found.name.empty() || found.method.empty()) return std::nullopt;
    }
    return found;
  }
  return std::nullopt;
}

std::string destination::expected(std::string_view text) {
  return "unknown destination " + quote(text) +
         "; expected /topic/NAME, /queue/NAME, /service/NAME, /service/NAME/METHOD or "
         "/temp-queue/NAME";
}

bool destination::within(const destination_limits& allowed) const noexcept {
  if (what == kind::reply_queue) return true;  // is only looked up
  const std::size_t size = name.size() + (what == kind::service ? method.size() : 0);
  if (size > allowed.bytes) return false;
  return what != kind::topic ||
         static_cast<std::size_t>(std::count(name.begin(), name.end(), '.')) < allowed.words;
}

std::string destination::too_long(const destination_limits& allowed) {
  return "the destination is too long: at most " + std::to_string(allowed.bytes) +
         " bytes of name, and " + std::to_string(allowed.words) + " words of a topic";
}

}  // namespace parley::stomp
