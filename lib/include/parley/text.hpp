// SPDX-License-Identifier: MPL-2.0
//
// Bytes as text can carry them. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace parley::detail {

// By the Unicode standard, table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

// RFC 4648, section 4, with padding.
[[nodiscard]] std::string to_base64(std::string_view bytes);

}  // namespace parley::detail
