// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame_reader.hpp"

#include "frames.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;
using Catch::Contains;

// "The frame starts with a command string terminated by an end-of-line (EOL) ... Following the
// command are zero or more header entries in <key>:<value> format. ... A blank line indicates the
// end of the headers and the beginning of the body. The body is then followed by the NULL octet."
TEST_CASE("a frame is a command, headers, a blank line, a body and a NUL") {
  CHECK(read_one(bytes("SEND\ndestination:/queue/a\nx:1\n\nhello\0")) ==
        "SEND [destination=/queue/a] [x=1] hello");
  CHECK(read_one(bytes("DISCONNECT\n\n\0")) == "DISCONNECT");
}

TEST_CASE("half a frame asks for more bytes") {
  CHECK(read_one("SEND") == "more");
  CHECK(read_one("SEND\ndestination:/queue/a\n\nhel") == "more");
  CHECK(read_one("") == "more");
}

// "The NULL octet can be optionally followed by multiple EOLs."
TEST_CASE("EOLs between frames are skipped") {
  CHECK(
      read_all(bytes("\n\r\n\nBEGIN\ntransaction:t\n\n\0\n\r\n\nCOMMIT\ntransaction:t\n\n\0\n")) ==
      std::vector<std::string>{"BEGIN [transaction=t]", "COMMIT [transaction=t]"});
}

// "an EOL ... consists of an OPTIONAL carriage return (octet 13) followed by a REQUIRED line feed"
TEST_CASE("lines of 1.2 may end in CRLF") {
  CHECK(read_one(bytes("SEND\r\ndestination:/queue/a\r\n\r\nx\r\n\0")) ==
        "SEND [destination=/queue/a] x\r\n");
}

TEST_CASE("a carriage return is part of the value before 1.2") {
  CHECK(read_one(bytes("SEND\nx:1\r\n\n\0"), version::v1_1) == "SEND [x=1\r]");
}

// "STOMP/CONNECT frames ... will not escape the carriage return, line feed or colon octets in order
// to remain backward compatible with STOMP 1.0"
TEST_CASE("CONNECT is not unescaped and may end its lines in CRLF") {
  frame_reader reader;
  feed(reader, bytes("CONNECT\r\npasscode:a\\nb:c\r\n\r\n\0"));
  CHECK(take_all(reader) == std::vector<std::string>{"CONNECT [passcode=a\\nb:c]"});
}

// "\r ... \n ... \c ... \\"
TEST_CASE("1.2 undoes its four escapes in names and values") {
  CHECK(read_one(bytes("SEND\na\\cb:\\r\\n\\c\\\\\n\n\0")) == "SEND [a:b=\r\n:\\]");
}

TEST_CASE("1.1 has no escape for the carriage return") {
  CHECK(read_one(bytes("SEND\na\\cb:\\n\\c\\\\\n\n\0"), version::v1_1) == "SEND [a:b=\n:\\]");
  CHECK(read_one(bytes("SEND\na:\\r\n\n\0"), version::v1_1) ==
        "wrong: undefined escape '\\r' in a header of SEND; expected \\n, \\c or \\\\");
}

TEST_CASE("1.0 has no escapes at all") {
  CHECK(read_one(bytes("SEND\na:\\n\\t\n\n\0"), version::v1_0) == "SEND [a=\\n\\t]");
}

// "Undefined escape sequences such as \t MUST be treated as a fatal protocol error."
TEST_CASE("an undefined escape is wrong") {
  CHECK(read_one(bytes("SEND\na:b\\t\n\n\0")) ==
        "wrong: undefined escape '\\t' in a header of SEND; expected \\r, \\n, \\c or \\\\");
  CHECK_THAT(read_one(bytes("SEND\na:b\\\n\n\0")), Contains("undefined escape '\\'"));
}

// "Clients and servers MUST never trim or pad headers with spaces." (1.2)
TEST_CASE("spaces belong to names and values, but for 1.0") {
  CHECK(read_one(bytes("SEND\na: b \n\n\0")) == "SEND [a= b ]");
  CHECK(read_one(bytes("SEND\na: b \n\n\0"), version::v1_0) == "SEND [a=b ]");
}

// "If a client or a server receives repeated frame header entries, only the first header entry
// SHOULD be used as the value of header entry."
TEST_CASE("the first of repeated headers wins") {
  frame_reader reader;
  feed(reader, bytes("SEND\nfoo:World\nfoo:Hello\n\n\0"));
  REQUIRE(reader.next() == frame_reader::outcome::frame);
  CHECK(reader.current().find("foo") == "World");
  CHECK(reader.current().headers.size() == 2);
  CHECK_FALSE(reader.current().find("bar"));
}

// "If a content-length header is included, this number of octets MUST be read, regardless of
// whether or not there are NULL octets in the body."
TEST_CASE("content-length lets a body hold NULs") {
  CHECK(read_one(bytes("SEND\ncontent-length:3\n\na\0b\0")) ==
        bytes("SEND [content-length=3] a\0b"));
  CHECK(read_one(bytes("SEND\ncontent-length:0\n\n\0")) == "SEND [content-length=0]");
}

// "The frame still needs to be terminated with a NULL octet."
TEST_CASE("a content-length that no NUL follows is wrong") {
  CHECK(read_one(bytes("SEND\ncontent-length:2\n\nabc\0")) ==
        "wrong: content-length of SEND is 2, but no NUL follows that many bytes of body");
}

TEST_CASE("a content-length that is no number is wrong") {
  for (const char* const value : {"-1", "x", "", "1x", "99999999999999999999"}) {
    CHECK_THAT(read_one("SEND\ncontent-length:" + std::string{value} + bytes("\n\nabc\0")),
               Contains("expected a number of bytes"));
  }
}

// "Only the SEND, MESSAGE, and ERROR frames MAY have a body. All other frames MUST NOT have a
// body."
TEST_CASE("a body where none may be is wrong") {
  CHECK(read_one(bytes("BEGIN\ntransaction:t\n\nbody\0")) ==
        "wrong: BEGIN has a body; only SEND, MESSAGE and ERROR may have one");
  CHECK_THAT(read_one(bytes("BEGIN\ncontent-length:4\n\nbody\0")), Contains("BEGIN has a body"));
}

TEST_CASE("what is not STOMP is told at once") {
  CHECK(read_one("GET / HTTP/1.1\r\nHost: x\r\n\r\n") ==
        "wrong: unknown command 'GET / HTTP/1.'; expected a STOMP frame such as CONNECT, SEND or "
        "SUBSCRIBE");
  CHECK_THAT(read_one(bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x9a\x8b\x7c")),
             Contains("unknown command"));
  CHECK_THAT(read_one("send\n"), Contains("unknown command 'send'"));
}

TEST_CASE("a header line without a colon or a name is wrong") {
  CHECK(read_one(bytes("SEND\nnonsense\n\n\0")) ==
        "wrong: the header line 'nonsense' of SEND is not of the form name:value");
  CHECK_THAT(read_one(bytes("SEND\n:x\n\n\0")), Contains("not of the form name:value"));
}

TEST_CASE("a frame that ends within its headers is wrong, not waited for") {
  CHECK(
      read_one(bytes("SEND\ndestination:/queue/a\n\0")) ==
      "wrong: the SEND frame ended before its headers did; expected a blank line before the body");
}

// "Servers MAY place maximum limits on: the number of frame headers allowed in a single frame,
// the maximum length of header lines, the maximum size of a frame body."
TEST_CASE("the limits on headers, lines and bodies are kept to the byte") {
  const frame_limits limits{.headers = 2, .header_line = 10, .body = 5};
  const auto read = [&](const std::string& raw) { return read_one(raw, version::v1_2, limits); };
  CHECK(read(bytes("SEND\na:1\nb:2\n\n\0")) == "SEND [a=1] [b=2]");
  CHECK_THAT(read(bytes("SEND\na:1\nb:2\nc:3\n\n\0")), Contains("at most 2"));
  CHECK(read(bytes("SEND\na:23456789\r\n\n\0")) == "SEND [a=23456789]");
  CHECK_THAT(read("SEND\na:2345678901234"), Contains("at most 10 bytes"));
  CHECK(read(bytes("SEND\n\n12345\0")) == "SEND 12345");
  CHECK_THAT(read(bytes("SEND\n\n123456\0")), Contains("at most 5 bytes"));
  CHECK_THAT(read("SEND\n\n123456"), Contains("at most 5 bytes"));
  CHECK_THAT(read_one("SEND\ncontent-length:6\n\n", version::v1_2, {.body = 5}),
             Contains("at most 5 bytes"));
}

TEST_CASE("nothing is read behind what was wrong") {
  frame_reader reader;
  feed(reader, bytes("NONSENSE\n\n\0SEND\n\n\0"));
  CHECK(reader.next() == frame_reader::outcome::wrong);
  CHECK(reader.next() == frame_reader::outcome::wrong);
}

TEST_CASE("a version holds from the next frame on, also within one chunk of bytes") {
  frame_reader reader;
  feed(reader, bytes("CONNECT\na:\\n\n\n\0SEND\na:\\n\n\n\0"));
  REQUIRE(reader.next() == frame_reader::outcome::frame);
  CHECK(to_text(reader.current()) == "CONNECT [a=\\n]");
  reader.set_version(version::v1_2);
  REQUIRE(reader.next() == frame_reader::outcome::frame);
  CHECK(to_text(reader.current()) == "SEND [a=\n]");
}

TEST_CASE("every split of the same bytes gives the same frames") {
  const std::string stream = bytes(
      "\nSEND\r\ndestination:/queue/a\\c\r\nx\\n:\\\\y\n\nbody\0\n\n"
      "SEND\ncontent-length:5\n\na\0b\0c\0\r\n"
      "ACK\nid:1\n\n\0DISCONNECT\nreceipt:77\n\n\0\n");
  const auto whole = read_all(stream);
  REQUIRE(whole.size() == 4);
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    for (std::size_t second = first; second <= stream.size(); ++second) {
      frame_reader reader;
      reader.set_version(version::v1_2);
      std::vector<std::string> got;
      for (const auto& [from, to] : {std::pair{std::size_t{0}, first}, std::pair{first, second},
                                     std::pair{second, stream.size()}}) {
        feed(reader, std::string_view{stream}.substr(from, to - from));
        for (std::string& each : take_all(reader))
          got.push_back(std::move(each));
      }
      REQUIRE(got == whole);
    }
  }
}

TEST_CASE("a large body arrives in one piece, however slowly") {
  const std::string body(3'000'000, 'x');
  for (const bool counted : {true, false}) {
    frame_reader reader;
    feed(reader,
         "SEND\n" + (counted ? "content-length:" + std::to_string(body.size()) + "\n" : "") + "\n");
    for (std::size_t at = 0; at < body.size(); at += 40'000) {
      feed(reader, std::string_view{body}.substr(at, 40'000));
      REQUIRE(reader.next() == frame_reader::outcome::more);
    }
    feed(reader, std::string_view{"\0", 1});
    REQUIRE(reader.next() == frame_reader::outcome::frame);
    CHECK(reader.current().body == body);
    CHECK(reader.current().headers.size() == (counted ? 1 : 0));
  }
}
