// SPDX-License-Identifier: MPL-2.0
#include "envelope.hpp"

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;

TEST_CASE("the envelope of a request ends with its empty delimiter") {
  const frame id{"router id"};
  CHECK(envelope_size(message{id, frame{}, frame{"payload"}}, 1) == 2);  // REQ
  CHECK(envelope_size(message{id, frame{"call"}, frame{}, frame{"payload"}}, 1) == 3);
  CHECK(envelope_size(message{id, frame{"payload"}}, 1) == 1);  // bare DEALER
  CHECK(envelope_size(message{id}, 1) == 1);
}

TEST_CASE("a reply names the call it belongs to") {
  const message addressed = address_call(42, message{frame{"payload"}, frame{"extra"}});
  REQUIRE(addressed.size() == 4);
  CHECK(call_of(addressed) == 42U);
  CHECK(addressed[2] == "payload");
  CHECK(addressed[3] == "extra");
}

TEST_CASE("a reply without an envelope of ours names no call") {
  CHECK_FALSE(call_of(message{}).has_value());
  CHECK_FALSE(call_of(message{frame{"payload"}}).has_value());
  CHECK_FALSE(call_of(message{frame{"short"}, frame{}, frame{"payload"}}).has_value());
  CHECK_FALSE(call_of(message{frame{"8 bytes!"}, frame{"no delimiter"}}).has_value());
}
