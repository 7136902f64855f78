// SPDX-License-Identifier: MPL-2.0
#include <string>

#include "support/catch.hpp"
#include "support/raw_peer.hpp"
#include "zmtp_probe.hpp"

using namespace parley;
using detail::zmtp_probe;
using answer = zmtp_probe::answer;
using namespace std::string_literals;
using support::zmtp_greeting;

namespace {

std::string property(const std::string& name, const std::string& value) {
  std::string text{static_cast<char>(name.size())};
  text += name;
  text.append(3, '\0');
  text += static_cast<char>(value.size());
  return text + value;
}

std::string ready(const std::string& metadata) {
  const std::string body = "\5READY" + metadata;
  return std::string{'\4', static_cast<char>(body.size())} + body;
}

const std::string pull = property("Socket-Type", "PULL");
const std::string unpacks = property("X-Parley-Unpacks", "1");

// What it makes of these bytes, whole and octet by octet.
answer answer_to(const std::string& bytes) {
  const answer whole = zmtp_probe{}.receive(bytes);
  zmtp_probe slow;
  answer slowly = answer::pending;
  for (const char each : bytes) {
    if (slowly == answer::pending) {
      slowly = slow.receive({&each, 1});
    }
  }
  CHECK(whole == slowly);
  return whole;
}

}  // namespace

TEST_CASE("a probe greets as a client of ZMTP 3 without security") {
  CHECK(zmtp_probe{}.take_reply() == zmtp_greeting("NULL"));
}

TEST_CASE("a socket that says so unpacks") {
  CHECK(answer_to(zmtp_greeting() + ready(pull + unpacks)) == answer::unpacks);
  CHECK(answer_to(zmtp_greeting() + ready(unpacks + pull)) == answer::unpacks);
}

TEST_CASE("a socket that says nothing of it, or another version, is plain") {
  CHECK(answer_to(zmtp_greeting() + ready(pull)) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + ready("")) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + ready(property("X-Parley-Unpacks", "2"))) == answer::plain);
}

TEST_CASE("a probe waits for the rest of what has begun") {
  const std::string all = zmtp_greeting() + ready(pull + unpacks);
  for (std::size_t count = 0; count < all.size(); ++count) {
    CHECK(zmtp_probe{}.receive(all.substr(0, count)) == answer::pending);
  }
}

TEST_CASE("who asks for security, speaks an older ZMTP or something else is plain") {
  CHECK(answer_to(zmtp_greeting("CURVE")) == answer::plain);
  std::string old = zmtp_greeting();
  old[10] = 2;
  CHECK(answer_to(old) == answer::plain);
  CHECK(answer_to(std::string(64, 'x')) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + std::string{"\4\6\5ERROR"}) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + std::string{"\0\1x", 3}) == answer::plain);  // no command
}

TEST_CASE("damaged metadata is plain, and a command without end is not waited for") {
  CHECK(answer_to(zmtp_greeting() + ready(pull + unpacks.substr(0, 5))) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + ready(pull + unpacks.substr(0, 18))) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + ready(pull + unpacks.substr(0, 21))) == answer::plain);
  CHECK(answer_to(zmtp_greeting() + "\6" + std::string(8, '\x7f')) == answer::plain);
}

// RFC 26: "The greeting shall specify the CURVE mechanism"; "hello" has 200 octets.
TEST_CASE("under CURVE a probe says hello once it is greeted, and is not misled by nonsense") {
  const curve_security security{generate_curve_keys().public_key};
  for (const std::string& welcome : {std::string{"\4\3\2no"}, "\4\10\7WELCOME"s,
                                     "\4\xa8\7WELCOME" + std::string(160, 'w'), "\4\6\5READY"s}) {
    zmtp_probe probe{security};
    CHECK(probe.take_reply() == zmtp_greeting("CURVE"));
    CHECK(probe.receive(zmtp_greeting("CURVE")) == answer::pending);
    const std::string hello = probe.take_reply();
    CHECK(hello.size() == 2 + 200);
    CHECK(hello.substr(0, 10) == std::string{"\4\xc8\5HELLO\1\0", 10});
    CHECK(probe.receive(welcome) == answer::plain);
    CHECK(probe.take_reply().empty());
  }
  CHECK(zmtp_probe{security}.receive(zmtp_greeting("NULL")) == answer::plain);
}
