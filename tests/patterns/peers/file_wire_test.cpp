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
// Returns how long, after a while, what is said has to wait.
std::chrono::milliseconds wait_on(double bytes_in_second, std::chrono::milliseconds delay,
                                  file_window& window) {
  using clock = std::chrono::steady_clock;
  const clock::time_point begun{};
  double now = 0;      // seconds
  double free_at = 0;  // the link is
  std::uint64_t said = 0;
  std::uint64_t had = 0;
  double waited = 0;
  struct arrival {
    std::uint64_t offset;
    double at;
  };
  std::deque<arrival> under_way;
  const auto at = [&](double seconds) {
    return begun +
           std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>{seconds});
  };
  for (int rounds = 0; rounds < 3000; ++rounds) {
    while (said == had || said - had + window.piece() <= window.size()) {
      said += window.piece();
      window.said(said, at(now));
      free_at = std::max(free_at, now) + static_cast<double>(window.piece()) / bytes_in_second;
      under_way.push_back({said, free_at + std::chrono::duration<double>(delay).count()});
    }
    waited = rounds > 2000 ? std::max(waited, free_at - now) : 0;
    now = under_way.front().at;
    had = under_way.front().offset;
    under_way.pop_front();
    window.had(had, at(now));
  }
  return std::chrono::milliseconds{static_cast<int>(waited * 1000)};
}

}  // namespace

TEST_CASE("what is under way is what the link carries in a short while") {
  file_window slow;
  CHECK(wait_on(1e6, 1ms, slow) < 300ms);  // 8 Mbit/s
  CHECK(slow.size() < 400'000);
  CHECK(slow.piece() <= 100'000);
  file_window modem;
  CHECK(wait_on(1e5, 30ms, modem) < 600ms);
  file_window quick;
  static_cast<void>(wait_on(1e9, 1ms, quick));
  CHECK(quick.size() == file_window::most);
  file_window far;  // 80 Mbit/s to the other side of the world: the delay is the link's own
  static_cast<void>(wait_on(1e7, 150ms, far));
  CHECK(far.size() >= 1'500'000);
}
