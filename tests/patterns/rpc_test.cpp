// SPDX-License-Identifier: MPL-2.0
//
// Quotations are from the MessagePack-RPC specification.
#include "rpc.hpp"

#include <parley/error.hpp>

#include <string>
#include <tuple>

#include "support/catch.hpp"

using namespace parley;
using namespace std::string_literals;
using detail::rpc_request;
using detail::unpacked;

namespace {

std::string complaint(const std::string& bytes) {
  try {
    static_cast<void>(rpc_request{frame{bytes}});
    return "";
  } catch (const protocol_error& caught) {
    return caught.what();
  }
}

void check_response(std::string_view bytes) {
  const unpacked fields{bytes};
  static_cast<void>(detail::result_of(fields.get()));
}

}  // namespace

// "The request message is a four elements array: [type, msgid, method, params]"
TEST_CASE("a request is an array of four") {
  detail::pack_buffer buffer;
  detail::begin_request(buffer, 7, "add");
  msgpack::pack(buffer, std::tuple{2, 3});
  const frame packed = buffer.take();
  CHECK(packed ==
        "\x94\x00\x07\xa3"
        "add\x92\x02\x03"s);
  const rpc_request request{packed};
  CHECK(request.id == 7U);
  CHECK(request.method == "add");
  CHECK(decode<std::tuple<int, int>>(*request.parameters) == std::tuple{2, 3});
}

// "The notification message is a three elements array: [type, method, params]"
TEST_CASE("a notification is an array of three and has no id") {
  detail::pack_buffer buffer;
  detail::begin_notification(buffer, "log");
  msgpack::pack(buffer, std::tuple{"x"});
  const frame packed = buffer.take();
  CHECK(packed == "\x93\x02\xa3log\x91\xa1x");
  const rpc_request request{packed};
  CHECK_FALSE(request.id.has_value());
  CHECK(request.method == "log");
}

// "The response message is a four elements array: [type, msgid, error, result]"
TEST_CASE("a response carries the result") {
  const frame packed = detail::pack_result(7, encode(5));
  CHECK(packed == "\x94\x01\x07\xc0\x05");
  const unpacked fields{packed.view()};
  CHECK(detail::result_of(fields.get()).as<int>() == 5);
}

// "If the method is called correctly, this object [error] must be nil."
TEST_CASE("an error response is thrown with its type and text") {
  const frame packed = detail::pack_error(7, "overdrawn", "no money");
  try {
    check_response(packed.view());
    FAIL("no exception");
  } catch (const remote_error& caught) {
    CHECK(caught.type() == "overdrawn");
    CHECK(caught.text() == "no money");
  }
}

TEST_CASE("error responses of other makers are understood") {
  CHECK_THROWS_WITH(check_response("\x94\x01\x01\xa4oops\xc0"s), Catch::Contains("error: oops"));
  CHECK_THROWS_WITH(check_response("\x94\x01\x01\x2a\xc0"s), Catch::Contains("error: 42"));
}

TEST_CASE("what is no request is refused with the reason") {
  CHECK(complaint("").find("cut short") != std::string::npos);
  CHECK(complaint("\x01").find("must be a MessagePack-RPC array") != std::string::npos);
  CHECK(complaint("\x94\x05\x01\xa1m\x90").find("[0, id, method, parameters]") !=
        std::string::npos);
  CHECK(complaint("\x94\x00\xa1x\xa1m\x90"s).find("32 bits") != std::string::npos);
  CHECK(complaint("\x94\x00\x01\x01\x90"s).find("method must be a string") != std::string::npos);
  CHECK(complaint("\x94\x00\x01\xa1m\x01"s).find("parameters must be an array") !=
        std::string::npos);
  CHECK_THROWS_AS(check_response("\x93\x01\x01\xc0"s), protocol_error);
}
