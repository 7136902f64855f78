// SPDX-License-Identifier: MPL-2.0
//
// Marks of files, their names, and how much may be under way.
#include <parley/text.hpp>

#include "peers/file_mark.hpp"
#include "peers/file_name.hpp"
#include "peers/file_window.hpp"

#include <random>
#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = file_mark::kind;

TEST_CASE("a mark of a file is read as it was written, and nothing else is one") {
  file_digest digest;
  digest.fill(0xa5);
  for (const file_mark& each : {
           file_mark{.what = kind::offer, .number = 7, .offset = ~std::uint64_t{0}, .name = "a b"},
           file_mark{.what = kind::offer, .number = 7},
           file_mark{.what = kind::begin, .number = 7, .offset = 9},
           file_mark{.what = kind::piece, .number = 7, .offset = 9},
           file_mark{.what = kind::end, .number = 7, .offset = 9, .digest = digest},
           file_mark{.what = kind::ask, .number = 7},
           file_mark{.what = kind::withdraw, .number = 7, .why = file_failure::changed},
           file_mark{.what = kind::accept, .number = 7, .offset = 9, .room = 3, .digest = digest},
           file_mark{.what = kind::have, .number = 7, .offset = 9},
           file_mark{.what = kind::done, .number = 7},
           file_mark{.what = kind::refuse, .number = 7, .why = file_failure::nonsense},
       }) {
    const std::string whole = write_file_mark(each);
    CHECK(read_file_mark(whole) == each);
    CHECK_FALSE(read_file_mark(whole + "x"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK_FALSE(read_file_mark(whole.substr(0, size)));
    }
  }
  CHECK_FALSE(read_file_mark({"\xffPF\x02\x05\0\0\0\0\0\0\0\x07", 13}));  // another version
  CHECK_FALSE(read_file_mark({"\xffPF\x01\x07\0\0\0\0\0\0\0\x07", 13}));  // another kind
  // A reason of a later version.
  CHECK(read_file_mark({"\xffPF\x01\x14\0\0\0\0\0\0\0\x07\xee", 14})->why ==
        file_failure::cancelled);
}

TEST_CASE("a name from the network is a name in a directory, whatever it says") {
  CHECK(harmless_file_name("cat.jpg") == "cat.jpg");
  CHECK(harmless_file_name("Übersicht 2026.pdf") == "Übersicht 2026.pdf");
  CHECK(harmless_file_name("/etc/passwd") == "passwd");
  CHECK(harmless_file_name("..\\..\\boot.ini") == "boot.ini");
  CHECK(harmless_file_name("../../x") == "x");
  CHECK(harmless_file_name("..") == "_.");
  CHECK(harmless_file_name(".") == "_");
  CHECK(harmless_file_name(".bashrc") == "_bashrc");
  CHECK(harmless_file_name("") == "unnamed");
  CHECK(harmless_file_name("dir/") == "unnamed");
  CHECK(harmless_file_name("a\nb\x1b[2J\x7f") == "a_b_[2J_");
  CHECK(harmless_file_name("a\xc2\x9b"
                           "b") == "a_b");
  CHECK(harmless_file_name(std::string_view{"a\0b", 3}) == "a_b");
  CHECK(harmless_file_name("a\xff") == "a_");
  CHECK(harmless_file_name("cat.jpg.parley-part") == "cat.jpg.parley-part_");
  const std::string longest = harmless_file_name(std::string(300, 'a') + ".jpg");
  CHECK(longest.size() == longest_file_name);
  CHECK(longest.ends_with("a.jpg"));
  std::string wide;
  for (int count = 0; count < 120; ++count) {
    wide += "ü";
  }
  CHECK(is_utf8(harmless_file_name("x" + wide)));
}

TEST_CASE("no bytes make a name that leads anywhere") {
  std::mt19937 random{1};
  const std::string_view some{
      "./\\\0\n\x1b\xc2\x9b\xff"
      "a",
      10};
  for (int count = 0; count < 20'000; ++count) {
    std::string said(random() % 300, ' ');
    for (char& each : said) {
      each = random() % 2 == 0 ? some[random() % some.size()] : static_cast<char>(random());
    }
    const std::string name = harmless_file_name(said);
    REQUIRE_FALSE(name.empty());
    REQUIRE(name.size() <= longest_file_name + 1);
    REQUIRE_FALSE(name.starts_with('.'));
    REQUIRE(name.find_first_of(std::string_view{"/\\\0\n\x1b", 5}) == std::string::npos);
    REQUIRE(is_utf8(name));
  }
}

namespace {

// A link of so many bytes in a second, with a delay of its own; always as much under way as may be.
struct link_with_window {
  using clock = std::chrono::steady_clock;
  struct arrival {
    std::uint64_t offset;
    double at;
  };

  file_window window{};
  double now = 0;      // seconds
  double free_at = 0;  // the link is
  std::uint64_t said = 0;
  std::uint64_t had = 0;
  std::deque<arrival> under_way{};

  [[nodiscard]] clock::time_point time() const {
    return clock::time_point{} +
           std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>{now});
  }
  void carry(double bytes_in_second, std::chrono::milliseconds delay) {
    while (said == had || said - had + window.piece() <= window.size()) {
      said += window.piece();
      window.said(said, time());
      free_at = std::max(free_at, now) + static_cast<double>(window.piece()) / bytes_in_second;
      under_way.push_back({said, free_at + std::chrono::duration<double>(delay).count()});
    }
  }
  void answer() {
    now = std::max(now, under_way.front().at);
    had = under_way.front().offset;
    under_way.pop_front();
    window.had(had, time());
  }
  // Returns how long, after a while, what is said has to wait.
  std::chrono::milliseconds run(double bytes_in_second, std::chrono::milliseconds delay,
                                int rounds = 3000) {
    double waited = 0;
    for (int count = 0; count < rounds; ++count) {
      carry(bytes_in_second, delay);
      waited = count > 2000 ? std::max(waited, free_at - now) : 0;
      answer();
    }
    return std::chrono::milliseconds{static_cast<int>(waited * 1000)};
  }
};

}  // namespace

TEST_CASE("what is under way is what the link carries in a short while") {
  link_with_window slow;
  CHECK(slow.run(1e6, 1ms) < 300ms);  // 8 Mbit/s
  CHECK(slow.window.size() < 400'000);
  CHECK(slow.window.piece() <= 100'000);
  link_with_window modem;
  CHECK(modem.run(1e5, 30ms) < 600ms);
  link_with_window quick;
  static_cast<void>(quick.run(1e9, 1ms));
  CHECK(quick.window.size() == file_window::most);
  link_with_window far;  // 80 Mbit/s to the other side of the world: the delay is the link's own
  static_cast<void>(far.run(1e7, 150ms));
  CHECK(far.window.size() >= 1'500'000);
}

TEST_CASE("a way that has become longer is made use of, as one that was so from the beginning") {
  link_with_window link;
  static_cast<void>(link.run(1e7, 1ms));
  const double moved_at = link.now;
  const std::uint64_t had = link.had;
  while (link.now < moved_at + 60) {
    static_cast<void>(link.run(1e7, 300ms, 1));
  }
  CHECK(link.had - had > std::uint64_t{450} * 1'000'000);  // of 600
  CHECK(link.run(1e7, 300ms) < 600ms);
}

TEST_CASE("what waits on a link does not grow with time") {
  link_with_window link;
  CHECK(link.run(1e6, 20ms, 60'000) < 300ms);
  CHECK(link.now > 600);  // seconds
}
