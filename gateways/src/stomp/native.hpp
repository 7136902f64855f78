// SPDX-License-Identifier: MPL-2.0
//
// What the router asks of the world outside STOMP. All return at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stomp/session.hpp"

namespace parley::stomp {

class native {
 public:
  virtual void publish(std::string_view topic, std::string_view body) = 0;
  // Somebody, or nobody any more, wants topics that begin so.
  virtual void want(std::string_view prefix) = 0;
  virtual void unwant(std::string_view prefix) = 0;
  // Ends in router::replied with that number, by the deadline. False: there is no such service.
  [[nodiscard]] virtual bool call(std::uint64_t number, std::string_view service,
                                  std::string_view method, const std::string& parameters,
                                  clock::time_point deadline) = 0;
  // What a frame of a client made fail here; it concerns whoever runs the gateway.
  virtual void report(std::string_view what) = 0;

 protected:
  ~native() = default;
};

}  // namespace parley::stomp
