// SPDX-License-Identifier: MPL-2.0
//
// A RabbitMQ broker of the benchmark's own (Debian: rabbitmq-server), with its files in a temporary
// directory, and a client by STOMP. It ends with the object.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "support/temporary_directory.hpp"

namespace parley::bench {

class rabbit {
 public:
  // Says so on stderr if it is not.
  [[nodiscard]] static bool is_installed();

  rabbit();
  rabbit(const rabbit&) = delete;
  rabbit& operator=(const rabbit&) = delete;
  ~rabbit();

  // Thousands of persistent messages a second to a durable queue, as the broker confirms them, many
  // of them in flight over one connection.
  [[nodiscard]] double rate(std::size_t body_size) const;

 private:
  support::temporary_directory directory_;
  std::uint16_t port_;
  pid_t process_ = -1;
};

}  // namespace parley::bench
