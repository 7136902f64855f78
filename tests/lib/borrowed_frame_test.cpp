// SPDX-License-Identifier: MPL-2.0
#include <parley/borrowed_frame.hpp>
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using support::patience;

namespace {

const std::string large(100'000, 'x');

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text});
}

std::filesystem::path written(const std::filesystem::path& where, const std::string& text) {
  std::ofstream{where} << text;
  return where;
}

bool is_mapped(const std::string& file) {
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    if (line.find(file) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("borrowed bytes are not copied, and are released with the last share") {
  int released = 0;
  {
    const frame first = borrow(bytes_of(large), [&] { ++released; });
    CHECK(first.data() == bytes_of(large).data());
    const frame second = first;
    CHECK(second == large);
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("borrowed bytes that fit into the frame are copied and released at once") {
  int released = 0;
  const frame small = borrow(bytes_of(large).first(64), [&] { ++released; });
  CHECK(released == 1);
  CHECK(small.size() == 64);
}

TEST_CASE("borrowed bytes need not tell anybody") { CHECK(borrow(bytes_of(large), {}) == large); }

TEST_CASE("borrowed bytes are released once the peer has them") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "ipc://*", "pipe://borrowed");
  context owner;
  auto [pull, push] = support::join(owner, socket_kind::pull, socket_kind::push, where);
  std::promise<void> released;
  push.send(borrow(bytes_of(large), [&] { released.set_value(); }));
  {
    const auto received = pull.receive_for(patience);
    REQUIRE(received);
    CHECK(received->front() == large);
  }
  CHECK(released.get_future().wait_for(patience) == std::future_status::ready);
}

TEST_CASE("borrowed bytes are released when their message is refused and dropped") {
  int released = 0;
  context owner;
  parley::socket push{owner, socket_kind::push};
  {
    message refused{borrow(bytes_of(large), [&] { ++released; })};
    CHECK_FALSE(push.try_send(std::move(refused)));
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("a mapped file is a frame of its bytes, also when the file is gone") {
  const support::temporary_directory directory;
  const auto file = written(directory / "body", large);
  const frame mapped = map_file(file);
  std::filesystem::remove(file);
  CHECK(mapped == large);
}

TEST_CASE("nothing of a mapped file stays when its frame is gone") {
  const support::temporary_directory directory;
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {});
  };
  const auto before = descriptors();
  const std::string file = written(directory / "body", large).string();
  const std::string small = written(directory / "small", "text").string();
  {
    const frame mapped = map_file(file);
    CHECK(is_mapped(file));
    static_cast<void>(map_file(small));
  }
  CHECK_FALSE(is_mapped(file));
  CHECK_FALSE(is_mapped(small));
  CHECK(descriptors() == before);
}

TEST_CASE("small and empty files are frames too") {
  const support::temporary_directory directory;
  CHECK(map_file(written(directory / "small", "text")) == "text");
  CHECK(map_file(written(directory / "empty", "")).empty());
}

TEST_CASE("a file that cannot be read is an error that names it and says why") {
  const support::temporary_directory directory;
  CHECK_THROWS_WITH(map_file(directory / "none"),
                    Catch::Contains("/none (No such file or directory): cannot read the file"));
  CHECK_THROWS_WITH(map_file(directory.path()), Catch::Contains("(not a regular file)"));
  const std::filesystem::path fifo = directory / "fifo";  // and nobody to write into it
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(map_file(fifo), Catch::Contains("(not a regular file)"));
}

TEST_CASE("a slice shares the body of the whole, and may be small") {
  const frame whole{large + "tail"};
  const frame part = slice(whole, 10, 1000);
  CHECK(part.data() == whole.data() + 10);
  CHECK(part.size() == 1000);
  CHECK(slice(whole, large.size(), 4) == "tail");
  CHECK(slice(whole, whole.size(), 0).empty());
}

TEST_CASE("a slice keeps the body alive") {
  int released = 0;
  {
    const frame part = slice(borrow(bytes_of(large), [&] { ++released; }), 1, large.size() - 1);
    CHECK(released == 0);
    CHECK(part.size() == large.size() - 1);
  }
  CHECK(released == 1);
}
