// SPDX-License-Identifier: MPL-2.0
#include "peers/service_table.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

const service_table::time_point start{1000s};
const peer_id ada = peer_id::random();

std::vector<std::string> told(service_table& table, service_table::time_point now) {
  std::vector<std::string> all;
  for (const auto& each : table.take_changes(now)) {
    all.push_back((each.is_there ? "+" : "-") + each.name + ' ' + each.where.str());
  }
  return all;
}

using words = std::vector<std::string>;

}  // namespace

TEST_CASE("a service bound to all addresses is where its peer is") {
  CHECK(service_group("adder", "tcp://0.0.0.0:5555") == "service:adder tcp://*:5555");
  CHECK(service_group("adder", "tcp://10.0.0.7:5555") == "service:adder tcp://10.0.0.7:5555");
  service_table table;
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  table.add(ada, "service:clock tcp://10.0.0.7:80", "10.0.0.9");
  table.add(ada, "service:six tcp://*:81", "fe80::1%eth0");
  CHECK(told(table, start) == words{"+adder tcp://10.0.0.9:5555", "+clock tcp://10.0.0.7:80",
                                    "+six tcp://[fe80::1%eth0]:81"});
  CHECK(told(table, start).empty());
}

TEST_CASE("a service that is gone is told so only after a while, and not if it is back before") {
  service_table table;
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start).size() == 1);
  table.remove_all(ada, start);
  CHECK(told(table, start + 1s).empty());
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start + 1h).empty());
  CHECK(table.due() == service_table::time_point::max());
  table.remove(ada, "service:adder tcp://*:5555", start + 1h);
  CHECK(told(table, start + 1h + 1s).empty());
  CHECK(told(table, table.due()) == words{"-adder tcp://10.0.0.9:5555"});
}

TEST_CASE("a service that its peer takes back and offers again at once was never gone") {
  service_table table;
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start).size() == 1);
  table.remove(ada, "service:adder tcp://*:5555", start);
  CHECK(told(table, start).empty());
  CHECK(table.due() > start + 1s);
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start + 1h).empty());
  CHECK(table.due() == service_table::time_point::max());
}

TEST_CASE("a peer that moves takes its services along") {
  service_table table;
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start).size() == 1);
  table.remove_all(ada, start);
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.10");
  CHECK(told(table, start) == words{"-adder tcp://10.0.0.9:5555", "+adder tcp://10.0.0.10:5555"});
}

TEST_CASE("what is no service that one can connect to is passed over") {
  service_table table;
  for (const char* group :
       {"service:adder", "service: tcp://*:1", "service:a b tcp://*:1", "service:a tcp://*:0",
        "service:a ipc:///tmp/x", "service:a tcp://host.example:1", "service:a service:b",
        "service:a tcp://*:66666", "service:\x1b[2J tcp://*:1"}) {
    table.add(ada, group, "10.0.0.9");
  }
  CHECK(told(table, start).empty());
}

TEST_CASE("at the end all that is there is gone") {
  service_table table;
  table.add(ada, "service:adder tcp://*:5555", "10.0.0.9");
  CHECK(told(table, start).size() == 1);
  REQUIRE(table.take_all().size() == 1);
  CHECK(table.take_all().empty());
}
