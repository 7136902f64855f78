// SPDX-License-Identifier: MPL-2.0
//
// The link that other tests break does to bytes what it says.
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/raw_peer.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::fault_proxy;
using support::raw_peer;

namespace {

struct world {
  raw_peer target = raw_peer::listening();
  fault_proxy proxy{target.where()};
  raw_peer client = raw_peer::connected(proxy.where());
  raw_peer server = target.accept();

  void check_both_ways() const {
    CHECK(client.write("hello"));
    CHECK(server.read(5) == "hello");
    CHECK(server.write("world!"));
    CHECK(client.read(6) == "world!");
  }

  // It has looked at all that it is going to look at, and done what it does at once.
  void await_idle() {
    static_cast<void>(proxy.connections());
    static_cast<void>(proxy.connections());
  }
};

}  // namespace

TEST_CASE("a fault proxy forwards both ways, more than it and the kernel hold") {
  world it;
  it.check_both_ways();
  const std::string much(50'000'000, 'x');
  std::thread writing{[&] { it.client.write(much); }};
  CHECK(it.server.read(much.size()) == much);
  writing.join();
  CHECK(it.proxy.connections() == 1);
}

TEST_CASE("a fault proxy passes the end of a connection on, after all that came before") {
  raw_peer target = raw_peer::listening();
  fault_proxy proxy{target.where()};
  {
    raw_peer client = raw_peer::connected(proxy.where());
    client.write("bye");
  }
  raw_peer server = target.accept();
  CHECK(server.read(10) == "bye");
}

TEST_CASE("a cut fault proxy resets its connections and refuses new ones until it is restored") {
  world it;
  it.check_both_ways();
  for (int round = 0; round < 2; ++round) {
    it.proxy.cut();
    CHECK(it.proxy.connections() == 0);
    CHECK(it.client.read(1).empty());
    CHECK(it.server.read(1).empty());
    CHECK_THROWS_AS(raw_peer::connected(it.proxy.where()), std::system_error);
  }

  it.proxy.restore();
  const raw_peer client = raw_peer::connected(it.proxy.where());
  const raw_peer server = it.target.accept();
  CHECK(client.write("again"));
  CHECK(server.read(5) == "again");
}

TEST_CASE("a stalled fault proxy takes connections and bytes, and forwards them when it resumes") {
  world it;
  it.proxy.stall();
  CHECK(it.client.write("early"));
  CHECK(it.server.write("early"));
  const raw_peer second = raw_peer::connected(it.proxy.where());
  it.await_idle();
  CHECK(it.proxy.connections() == 1);
  CHECK_FALSE(it.client.has_bytes());
  CHECK_FALSE(it.server.has_bytes());

  it.proxy.resume();
  CHECK(it.server.read(5) == "early");
  CHECK(it.client.read(5) == "early");
  CHECK(second.write("me too"));
  CHECK(it.target.accept().read(6) == "me too");
}

TEST_CASE("a stalled fault proxy can be cut") {
  world it;
  it.proxy.stall();
  CHECK(it.client.write("lost"));
  it.proxy.cut();
  CHECK(it.client.read(1).empty());
  CHECK(it.server.read(1).empty());
}

TEST_CASE("a fault proxy delays each direction by its own time") {
  world it;
  it.proxy.delay(1h, 0ms);
  CHECK(it.client.write("slow"));
  CHECK(it.server.write("fast"));
  CHECK(it.client.read(4) == "fast");
  it.await_idle();
  CHECK_FALSE(it.server.has_bytes());
}

TEST_CASE("delayed bytes come in order, and not before their time") {
  world it;
  it.proxy.delay(0ms, 30ms);
  const auto start = std::chrono::steady_clock::now();
  CHECK(it.server.write("first"));
  it.await_idle();
  it.proxy.delay(0ms, 0ms);
  CHECK(it.server.write("second"));
  CHECK(it.client.read(11) == "firstsecond");
  CHECK(std::chrono::steady_clock::now() - start >= 30ms);
}

TEST_CASE("a retargeted fault proxy leads new clients elsewhere and keeps the others") {
  world it;
  const raw_peer other = raw_peer::listening();
  it.proxy.retarget(other.where());
  const raw_peer newcomer = raw_peer::connected(it.proxy.where());
  const raw_peer serving = other.accept();
  CHECK(newcomer.write("new"));
  CHECK(serving.read(3) == "new");
  it.check_both_ways();
  CHECK(it.proxy.connections() == 2);
}

TEST_CASE("a fault proxy hangs up on clients whose target is not there") {
  const endpoint nowhere = raw_peer::listening().where();
  fault_proxy proxy{nowhere};
  const raw_peer client = raw_peer::connected(proxy.where());
  client.await_hang_up();
  CHECK(proxy.connections() == 0);
}
