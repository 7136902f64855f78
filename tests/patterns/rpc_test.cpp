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

// The heads are packed and read by hand, for speed.
TEST_CASE("heads are those of MessagePack for ids and names of all sizes") {
  const std::uint32_t ids[] = {0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1'0000, 0xffff'ffff};
  const std::size_t sizes[] = {0, 1, 31, 32, 255, 256, 65'535, 65'536};
  for (const std::uint32_t id : ids) {
    for (const std::size_t size : sizes) {
      const std::string name(size, 'm');
      msgpack::sbuffer expected;
      msgpack::pack(expected, std::tuple{0, id, name, std::tuple{2, "x"}});
      detail::pack_buffer buffer;
      detail::begin_request(buffer, id, name);
      msgpack::pack(buffer, std::tuple{2, "x"});
      const frame packed = buffer.take();
      REQUIRE(packed == std::string(expected.data(), expected.size()));
      const rpc_request request{packed};
      CHECK(request.id == id);
      CHECK(request.method == name);
      CHECK(decode<std::tuple<int, std::string>>(*request.parameters) == std::tuple{2, "x"s});
    }
    msgpack::sbuffer expected;
    msgpack::pack(expected, std::tuple{1, id, msgpack::type::nil_t{}, std::tuple{5, "y"}});
    const frame packed = detail::pack_result(id, encode(std::tuple{5, "y"}));
    REQUIRE(packed == std::string(expected.data(), expected.size()));
    const auto head = detail::rpc_head::of_result(packed.view());
    CHECK(head.id == id);
    CHECK(decode<std::tuple<int, std::string>>(packed.view().substr(head.size)) ==
          std::tuple{5, "y"s});
  }
}

TEST_CASE("a request that is cut short or followed by more is refused") {
  const std::string whole =
      "\x94\x00\xcd\x01\x02\xa3"
      "add\x92\xcd\x01\x02\x81\xa1k\x03"s;
  CHECK(complaint(whole).empty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(complaint(whole.substr(0, size)).empty());
  }
  CHECK(complaint(whole + "x").find("followed by") != std::string::npos);
}

TEST_CASE("a request that is packed in an unusual way is read all the same") {
  const frame wide{
      "\x94\x00\xcf\x00\x00\x00\x00\x00\x00\x00\x07\xda\x00\x03"
      "add\xdc\x00\x02\x02\x03"s};
  const rpc_request request{wide};
  CHECK(request.id == 7U);
  CHECK(request.method == "add");
  CHECK(decode<std::tuple<int, int>>(*request.parameters) == std::tuple{2, 3});
}

TEST_CASE("only the head of a call that went well is taken for one") {
  CHECK(detail::rpc_head::of_result("\x94\x01\x07\xc0\x05").size == 4);
  CHECK(detail::rpc_head::of_result("\x94\x01\x07\xa4oops\xc0").size == 0);
  CHECK(detail::rpc_head::of_result("\x94\x01\x07\xc0").size == 0);
  CHECK(detail::rpc_head::of_result(std::string_view{"\x94\x00\x07\xc0\x05", 5}).size == 0);
  CHECK(detail::rpc_head::of_result("\x93\x01\x07\xc0").size == 0);
}
