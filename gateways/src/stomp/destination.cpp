// SPDX-License-Identifier: MPL-2.0
#include "stomp/destination.hpp"

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

}  // namespace parley::stomp
