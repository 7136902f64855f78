// SPDX-License-Identifier: MPL-2.0
#include "peers/peer_places.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

using places = std::vector<peer_place>;

peer_place at(int number) { return {"10.0.0." + std::to_string(number), 5000}; }

const peer_places::time_point start{1h};

}  // namespace

TEST_CASE("of too many addresses the oldest gives way, but not the one that is used") {
  peer_places known;
  for (int number = 0; number < 8; ++number) {
    known.add(at(number));
  }
  known.add(at(7));  // known
  CHECK(known.all().size() == 8);
  known.use(at(0));
  known.add(at(8));
  CHECK(known.all() == places{at(0), at(2), at(3), at(4), at(5), at(6), at(7), at(8)});
  CHECK(known.latest() == at(8));
}

TEST_CASE("all addresses are tried at once, each once, and a wrong one not until its time") {
  peer_places known;
  known.add(at(1));
  known.add(at(2));
  CHECK(known.begin_trial(start) == places{at(1), at(2)});
  known.add(at(3));
  CHECK(known.begin_trial(start) == places{at(3)});
  CHECK(known.tried(at(1), probe_answer::answered, "10.0.0.9"));
  known.use(at(1));
  CHECK(known.own_host() == "10.0.0.9");
  known.set_wrong(start + 10s);
  CHECK_FALSE(known.are_wrong(start));
  CHECK(known.tried(at(2), probe_answer::refused, {}));
  CHECK(known.is_trying());
  CHECK(known.tried(at(3), probe_answer::silent, {}));
  CHECK_FALSE(known.is_trying());
  CHECK(known.begin_trial(start + 9s) == places{at(2), at(3)});
  CHECK(known.begin_trial(start + 10s) == places{at(1)});
}

TEST_CASE("what is said of an address that gave way counts for nothing") {
  peer_places known;
  CHECK_FALSE(known.tried(at(1), probe_answer::answered, "10.0.0.9"));
  CHECK(known.all().empty());
  CHECK(known.own_host().empty());
}

TEST_CASE("a peer has moved when the address that is used keeps silent and another one answers") {
  peer_places known;
  known.add(at(1));
  known.add(at(2));
  static_cast<void>(known.begin_trial(start));
  CHECK(known.tried(at(1), probe_answer::answered, {}));
  known.use(at(1));
  CHECK(known.tried(at(2), probe_answer::answered, {}));
  CHECK_FALSE(known.have_moved());  // both answer
  static_cast<void>(known.begin_trial(start));
  CHECK(known.tried(at(2), probe_answer::answered, {}));
  CHECK_FALSE(known.have_moved());  // the first may still
  CHECK(known.tried(at(1), probe_answer::silent, {}));
  CHECK(known.have_moved());
}

TEST_CASE("a greeting names a port, and where it came from comes first") {
  peer_places known;
  known.add_named("tcp://10.0.0.2:7000", "10.0.0.1");
  CHECK(known.all() == places{{"10.0.0.1", 7000}, {"10.0.0.2", 7000}});
  CHECK(known.contain("10.0.0.2"));

  peer_places of_zyre;  // which gives the name of its host
  of_zyre.add_named("tcp://somewhere:7000", "10.0.0.1");
  CHECK(of_zyre.all() == places{{"10.0.0.1", 7000}});

  peer_places elsewhere;  // its loopback is not ours
  elsewhere.add_named("tcp://127.0.0.1:7000", "10.0.0.1");
  CHECK(elsewhere.all() == places{{"10.0.0.1", 7000}});
  elsewhere.add_named("nonsense", "10.0.0.3");
  CHECK(elsewhere.all().size() == 1);
}
