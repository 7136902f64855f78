// SPDX-License-Identifier: MPL-2.0
//
// Takes numbers and texts off the front of bytes from a peer, until one is not there.
#pragma once

#include "network_order.hpp"

#include <string_view>

namespace parley::detail {

class number_reader {
 public:
  explicit number_reader(std::string_view& bytes) noexcept : bytes_{bytes} {}

  template<class Number>
  number_reader& operator()(Number& value) noexcept {
    if (bytes_.size() < sizeof value) {
      is_good_ = false;
    } else {
      value = number_at<Number>(bytes_.data());
      bytes_.remove_prefix(sizeof value);
    }
    return *this;
  }
  template<class Size>
  number_reader& text(std::string_view& value) noexcept {
    Size size = 0;
    (*this)(size);
    if (bytes_.size() < size) {
      is_good_ = false;
    } else if (is_good_) {
      value = bytes_.substr(0, size);
      bytes_.remove_prefix(size);
    }
    return *this;
  }
  [[nodiscard]] bool is_good() const noexcept { return is_good_; }

 private:
  std::string_view& bytes_;
  bool is_good_ = true;
};

}  // namespace parley::detail
