// SPDX-License-Identifier: MPL-2.0
#include <parley/chunks.hpp>
#include <parley/socket.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using support::patience;
using state = chunk::state;

namespace {

std::string numbered(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t index = 0; index < size; ++index) {
    text[index] = static_cast<char>(index * 7 + index / 251);
  }
  return text;
}

std::vector<message> all(chunk_cutter cutter) {
  std::vector<message> pieces;
  while (auto piece = cutter.next()) {
    pieces.push_back(std::move(*piece));
  }
  return pieces;
}

std::vector<message> pieces_of(std::size_t count) {
  return all(chunk_cutter{"body", frame{numbered(count * 100)}, {}, 100});
}

}  // namespace

TEST_CASE("a body is cut into pieces that join to the same body") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 0, 1, 99, 100, 101, 200, 12345);
  const std::string whole = numbered(size);
  chunk_joiner joiner;
  std::string joined;
  const auto pieces = all(chunk_cutter{"some name", frame{whole}, {}, 100});
  CHECK(pieces.size() == std::max<std::size_t>(1, (size + 99) / 100));
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    const chunk piece = joiner.take(message{pieces[index]});
    CHECK(piece.is == (index + 1 == pieces.size() ? state::last : state::more));
    CHECK(piece.name == "some name");
    CHECK(piece.offset == joined.size());
    joined += piece.bytes.view();
  }
  CHECK(joined == whole);
  CHECK(joiner.under_way() == 0);
}

TEST_CASE("a body may come from anywhere, piece by piece") {
  int left = 3;
  chunk_cutter cutter{"stream", [&] { return left-- > 0 ? frame{"abc"} : frame{}; }};
  chunk_joiner joiner;
  std::string joined;
  while (auto piece = cutter.next()) {
    joined += joiner.take(std::move(*piece)).bytes.view();
  }
  CHECK(joined == "abcabcabc");
  CHECK(cutter.bytes() == 9);
}

TEST_CASE("a source that fails may be asked again, and nothing is lost") {
  int asked = 0;
  chunk_cutter cutter{"body", [&]() -> frame {
                        if (++asked == 3) {
                          throw std::runtime_error{"not now"};
                        }
                        return asked < 5 ? frame{"abc"} : frame{};
                      }};
  chunk_joiner joiner;
  CHECK(joiner.take(*cutter.next()).is == state::more);
  CHECK_THROWS_AS(cutter.next(), std::runtime_error);
  CHECK(joiner.take(*cutter.next()).is == state::more);
  const chunk last = joiner.take(*cutter.next());
  CHECK(last.is == state::last);
  CHECK(last.offset + last.bytes.size() == 9);
}

TEST_CASE("the pieces of a large body share its bytes") {
  const frame whole{numbered(10'000)};
  const auto pieces = all(chunk_cutter{"", whole, {}, 1000});
  CHECK(pieces[1].back().data() == whole.data() + 1000);
}

TEST_CASE("pieces of several bodies may be mixed") {
  const auto one = pieces_of(3);
  const auto two = pieces_of(3);
  chunk_joiner joiner;
  const auto first = joiner.take(message{one[0]}).body;
  const auto second = joiner.take(message{two[0]}).body;
  CHECK(first != second);
  CHECK(joiner.under_way() == 2);
  CHECK(joiner.take(message{one[1]}).body == first);
  CHECK(joiner.take(message{two[1]}).body == second);
  CHECK(joiner.take(message{two[2]}).is == state::last);
  CHECK(joiner.take(message{one[2]}).is == state::last);
}

TEST_CASE("a prefix goes before each piece, and tells senders apart") {
  chunk_joiner joiner;
  const auto piece = joiner.take(*chunk_cutter{"body", frame{"x"}, message{"id", ""}}.next());
  CHECK(piece.is == state::last);
  CHECK(piece.prefix == message{"id", ""});

  // The same bytes from two senders, as two routers' clients may send them.
  const auto pieces = pieces_of(2);
  message left{"left"};
  message right{"right"};
  for (const frame& each : pieces[0]) {
    left.push_back(each);
    right.push_back(each);
  }
  CHECK(joiner.take(std::move(left)).body != joiner.take(std::move(right)).body);

  // Nor are two prefixes the same that have the same bytes in other frames.
  message short_first{"a", "bc"};
  message long_first{"ab", "c"};
  for (const frame& each : pieces[0]) {
    short_first.push_back(each);
    long_first.push_back(each);
  }
  CHECK(joiner.take(std::move(short_first)).body != joiner.take(std::move(long_first)).body);
}

TEST_CASE("a missing piece breaks the body, and is told for all that follow") {
  const auto pieces = pieces_of(4);
  chunk_joiner joiner;
  const auto begun = joiner.take(message{pieces[0]}).body;
  const chunk broken = joiner.take(message{pieces[2]});
  CHECK(broken.is == state::broken);
  CHECK(broken.body == begun);
  CHECK(joiner.take(message{pieces[3]}).is == state::broken);
  CHECK(joiner.under_way() == 0);
}

TEST_CASE("a piece that comes twice breaks the body") {
  const auto pieces = pieces_of(3);
  chunk_joiner joiner;
  static_cast<void>(joiner.take(message{pieces[0]}));
  CHECK(joiner.take(message{pieces[0]}).is == state::broken);
}

TEST_CASE("who comes late finds the body broken") {
  chunk_joiner joiner;
  CHECK(joiner.take(message{pieces_of(3)[1]}).is == state::broken);
}

TEST_CASE("a joiner takes no more bodies at once than its limit") {
  chunk_joiner joiner{2};
  static_cast<void>(joiner.take(message{pieces_of(2)[0]}));
  const auto second = joiner.take(message{pieces_of(2)[0]}).body;
  const auto third = pieces_of(2);
  CHECK(joiner.take(message{third[0]}).is == state::refused);
  CHECK(joiner.take(message{third[1]}).is == state::broken);
  joiner.forget(second);
  CHECK(joiner.take(message{pieces_of(2)[0]}).is == state::more);
}

TEST_CASE("a body whose sender's name is beyond reason is refused") {
  message piece{frame{std::string(2000, 'n')}};
  const auto pieces = pieces_of(2);
  for (const frame& each : pieces[0]) {
    piece.push_back(each);
  }
  CHECK(chunk_joiner{}.take(std::move(piece)).is == state::refused);
}

// "head = "PARLEYc1" id offset flags name"
TEST_CASE("a piece's head has the bytes that programs in other languages expect") {
  const auto pieces = all(chunk_cutter{"name", frame{numbered(700)}, message{"to"}, 600});
  REQUIRE(pieces.size() == 2);
  REQUIRE(pieces[1].size() == 3);
  const std::string head = pieces[1][1].str();
  CHECK(head.substr(0, 8) == "PARLEYc1");
  CHECK(head.substr(16) == std::string{"\0\0\0\0\0\0\2\x58\1name", 13});

  chunk_joiner joiner;
  CHECK(joiner
            .take(message{frame{std::string{"PARLEYc1identity\0\0\0\0\0\0\0\0\0", 25}},
                          frame{numbered(600)}})
            .is == state::more);
  CHECK(joiner.take(message{frame{std::string{"PARLEYc1identity\0\0\0\0\0\0\2\x58\1", 25}}, "x"})
            .is == state::last);
}

TEST_CASE("what is no piece is handed back") {
  const auto piece = pieces_of(2)[0];
  const std::string head = piece[0].str();
  const std::vector<message> others{
      message{"text"},
      message{"a", "b"},
      message{},
      message{frame{head.substr(0, 24)}, "x"},
      message{frame{"X" + head.substr(1)}, "x"},
      message{frame{head + std::string(300, 'n')}, "x"},
      message{frame{std::string{head}.replace(24, 1, "\x02")}, "x"},
  };
  for (const message& each : others) {
    const chunk told = chunk_joiner{}.take(message{each});
    CHECK(told.is == state::foreign);
    CHECK(told.foreign_message == each);
  }
}

TEST_CASE("an empty piece before the last breaks the body, so that none goes on for ever") {
  const auto pieces = pieces_of(2);
  CHECK(chunk_joiner{}.take(message{pieces[0].front(), frame{}}).is == state::broken);
}

TEST_CASE("bodies go through sockets in pieces") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "pipe://pieces");
  const std::string whole = numbered(3'000'000);
  context owner;
  auto [pull, push] = support::join(owner, socket_kind::pull, socket_kind::push, where);
  chunk_cutter cutter{"body", frame{whole}, {}, 100'000};
  chunk_joiner joiner;
  std::string joined;
  while (auto piece = cutter.next()) {
    REQUIRE(push.send_for(std::move(*piece), patience));
    auto received = pull.receive_for(patience);
    REQUIRE(received);
    joined += joiner.take(std::move(*received)).bytes.view();
  }
  CHECK(joined == whole);
}
