// SPDX-License-Identifier: MPL-2.0
#include <parley/endpoint.hpp>
#include <parley/error.hpp>

#include <string>

#include "support/catch.hpp"

using namespace parley;

namespace {

// The words in brackets of the error that text causes, or "" when it is a good endpoint.
std::string complaint(const std::string& text) {
  try {
    static_cast<void>(endpoint{text});
    return "";
  } catch (const error& caught) {
    CHECK(caught.code() == errc::invalid_endpoint);
    return caught.what();
  }
}

bool says(const std::string& text, const std::string& words) {
  return complaint(text).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("an endpoint prints as it was written") {
  for (const char* text :
       {"pipe://orders", "inproc://a/b c", "ipc:///run/parley.sock", "ipc://@abstract",
        "tcp://127.0.0.1:5555", "tcp://*:0", "tcp://localhost:65535", "tcp://eth0:1",
        "tcp://[::1]:5555", "tcp://[fe80::1%eth0]:7", "tcp://some_host.example-1.org:80"}) {
    CHECK(endpoint{text}.str() == text);
    CHECK(endpoint{endpoint{text}.str()} == endpoint{text});
  }
}

TEST_CASE("a service is an endpoint with a name in place of an address") {
  const endpoint adder{"service:math/adder-2.1_b"};
  CHECK(adder.kind() == transport::service);
  CHECK(adder.address() == "math/adder-2.1_b");
  CHECK(adder.str() == "service:math/adder-2.1_b");
  CHECK_FALSE(adder.is_wildcard());
  for (const char* text : {"service:", "service:a b", "service:tcp://x:1", "service:\x1b"}) {
    CHECK(says(text, "a service has a name"));
  }
  CHECK(says("service:" + std::string(101, 'a'), "a service has a name"));
}

TEST_CASE("an endpoint knows its parts") {
  const endpoint where{"tcp://[::1]:5555"};
  CHECK(where.kind() == transport::tcp);
  CHECK(where.address() == "::1");
  CHECK(where.port() == 5555);
  CHECK(where.is_ipv6());
  CHECK_FALSE(endpoint{"tcp://host:1"}.is_ipv6());
  CHECK(endpoint{"ipc:///a:b"}.address() == "/a:b");
}

TEST_CASE("a wildcard is known as such") {
  CHECK(endpoint{"tcp://*:5555"}.is_wildcard());
  CHECK(endpoint{"tcp://127.0.0.1:*"}.is_wildcard());
  CHECK(endpoint{"tcp://127.0.0.1:0"}.is_wildcard());
  CHECK(endpoint{"ipc://*"}.is_wildcard());
  CHECK_FALSE(endpoint{"tcp://127.0.0.1:1"}.is_wildcard());
  CHECK_FALSE(endpoint{"inproc://*"}.is_wildcard());
}

TEST_CASE("a bad endpoint is refused with the reason") {
  CHECK(says("", "expected transport://address"));
  CHECK(says("localhost:5555", "expected transport://address"));
  CHECK(says("udp://host:1", "the transport must be pipe, inproc, ipc or tcp"));
  CHECK(says("TCP://host:1", "the transport must be"));
  CHECK(says("tcp://host", "the port is missing"));
  CHECK(says("tcp://[::1]", "the port is missing"));
  CHECK(says("tcp://:5555", "the host is missing"));
  CHECK(says("tcp://host:", "the port must be a number"));
  CHECK(says("tcp://host:65536", "the port must be a number from 0 to 65535"));
  CHECK(says("tcp://host:-1", "the port must be a number"));
  CHECK(says("tcp://host:12x", "the port must be a number"));
  CHECK(says("tcp://::1:5555", "must stand in brackets"));
  CHECK(says("tcp://[::1]x:5555", "right behind ]"));
  CHECK(says("tcp://[host]:5555", "no IPv6 address between the brackets"));
  CHECK(says("tcp://ho st:5555", "the host must be a name"));
  CHECK(says("tcp://**:5555", "the host must be a name"));
  CHECK(says("tcp://" + std::string(254, 'h') + ":1", "longer than 253"));
  CHECK(says("inproc://", "the name is missing"));
  CHECK(says("pipe://" + std::string(256, 'n'), "longer than 255 bytes"));
  CHECK(says("ipc://", "the path is missing"));
  CHECK(says("ipc:///" + std::string(108, 'p'), "longer than the system allows"));
  CHECK(says(std::string{"inproc://a\0b", 12}, "NUL"));
}
