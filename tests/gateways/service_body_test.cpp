// SPDX-License-Identifier: MPL-2.0
#include "stomp/service_body.hpp"

#include "frames.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;
using Catch::Contains;

TEST_CASE("a JSON array is the parameters, anything else the only one") {
  CHECK(to_parameters("", "[1, \"a\"]").packed ==
        "\x92\x01\xa1"
        "a");
  CHECK(to_parameters("application/json", "5").packed == "\x91\x05");
  CHECK(to_parameters("Application/JSON; charset=utf-8", "{\"a\":null}").packed ==
        "\x91\x81\xa1"
        "a\xc0");
}

TEST_CASE("text is one string, bytes are one binary, MessagePack goes as it is") {
  CHECK(to_parameters("text/plain", "hi").packed == "\x91\xa2hi");
  CHECK(to_parameters("application/octet-stream", "hi").packed == bytes("\x91\xc4\x02hi"));
  CHECK(to_parameters("application/msgpack", "\x92\x01\x02").packed == "\x92\x01\x02");
}

TEST_CASE("a body that is not what it says is a problem in words") {
  CHECK_THAT(to_parameters("", "").problem, Contains("not JSON"));
  CHECK_THAT(to_parameters("", "{nonsense").problem, Contains("not JSON"));
  CHECK_THAT(to_parameters("application/msgpack", "\x05").problem, Contains("array of parameters"));
  CHECK_THAT(to_parameters("application/msgpack", "\x92\x05").problem, Contains("array"));
  CHECK_THAT(to_parameters("image/png", "x").problem, Contains("not image/png"));
}

TEST_CASE("a JSON number beyond any double is a problem in words") {
  CHECK_THAT(to_parameters("", "1e999").problem, Contains("out of range"));
  CHECK_THAT(to_parameters("", "[1, -1e999]").problem, Contains("out of range"));
}

TEST_CASE("what is nested too deeply is refused, however large") {
  CHECK_THAT(to_parameters("", std::string(1'000'000, '[')).problem,
             Contains("deep") || Contains("not JSON"));
  CHECK_THAT(to_parameters("", std::string(1'000, '[') + std::string(1'000, ']')).problem,
             Contains("deep"));
  CHECK_THAT(to_parameters("application/msgpack", std::string(1'000'000, '\x91')).problem,
             Contains("array"));
  CHECK(to_json(std::string(1'000'000, '\x91')).empty());
}

TEST_CASE("a result becomes JSON") {
  CHECK(to_json("\x93\x01\xc3\xa1"
                "a") == "[1,true,\"a\"]");
  CHECK(to_json("\x82\xa1"
                "b\x01\x05\xc0") == "{\"5\":null,\"b\":1}");
  CHECK(to_json("\xc4\x02hi") == "\"aGk=\"");
  CHECK(to_json("\xc4\x03"
                "abc") == "\"YWJj\"");
  CHECK(to_json("\xa1\xff") == "\"\xef\xbf\xbd\"");
  CHECK(to_json("\xff\x01").empty());
}
