// SPDX-License-Identifier: MPL-2.0
//
// libzmq by its C interface, for peers written by hand.
#pragma once

#include <zmq.h>
#include <parley/curve.hpp>

#include <cstddef>
#include <cstring>
#include <string>

#include "harness.hpp"

namespace parley::bench {

struct raw_context {
  raw_context() : handle{zmq_ctx_new()} {}
  raw_context(const raw_context&) = delete;
  raw_context& operator=(const raw_context&) = delete;
  ~raw_context() { zmq_ctx_term(handle); }
  void* handle;
};

// A libzmq socket by its C interface.
class raw_socket {
 public:
  raw_socket(void* context, int kind) : handle_{zmq_socket(context, kind)} {
    const int linger = 0;
    const int limit = 1000;
    zmq_setsockopt(handle_, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(handle_, ZMQ_SNDHWM, &limit, sizeof limit);
    zmq_setsockopt(handle_, ZMQ_RCVHWM, &limit, sizeof limit);
  }
  raw_socket(const raw_socket&) = delete;
  raw_socket& operator=(const raw_socket&) = delete;
  ~raw_socket() { zmq_close(handle_); }

  [[nodiscard]] void* handle() const noexcept { return handle_; }

  void serve_curve(const curve_keys& keys) {
    const int yes = 1;
    require(zmq_setsockopt(handle_, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0, "no raw CURVE");
    set(ZMQ_CURVE_SECRETKEY, keys.secret_key);
  }
  void use_curve(const curve_keys& server) {
    const curve_keys own = generate_curve_keys();
    set(ZMQ_CURVE_SERVERKEY, server.public_key);
    set(ZMQ_CURVE_PUBLICKEY, own.public_key);
    set(ZMQ_CURVE_SECRETKEY, own.secret_key);
  }

  std::string bind(const std::string& where) {
    require(zmq_bind(handle_, where.c_str()) == 0, "raw bind failed");
    char bound[256];
    std::size_t size = sizeof bound;
    zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, bound, &size);
    return bound;
  }
  void connect(const std::string& where) {
    require(zmq_connect(handle_, where.c_str()) == 0, "raw connect failed");
  }
  void send(const std::string& bytes) {
    zmq_msg_t message;
    zmq_msg_init_size(&message, bytes.size());
    std::memcpy(zmq_msg_data(&message), bytes.data(), bytes.size());
    send(message);
  }
  // message: initialised; what it held is let go.
  void receive(zmq_msg_t& message) {
    require(zmq_msg_recv(&message, handle_, 0) >= 0, "raw receive failed");
  }
  void send(zmq_msg_t& message, int flags = 0) {
    require(zmq_msg_send(&message, handle_, flags) >= 0, "raw send failed");
  }
  std::size_t receive() {
    zmq_msg_t message;
    zmq_msg_init(&message);
    receive(message);
    const std::size_t size = zmq_msg_size(&message);
    zmq_msg_close(&message);
    return size;
  }

 private:
  void set(int option, const curve_key& key) {
    require(zmq_setsockopt(handle_, option, key.bytes().data(), curve_key::size) == 0,
            "a raw CURVE key is refused");
  }

  void* handle_;
};

}  // namespace parley::bench
