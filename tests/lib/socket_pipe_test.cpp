// SPDX-License-Identifier: MPL-2.0
//
// What sockets do over pipe:// beyond what they do over every carrier: peers that come and go, both
// carriers in one socket, event loops, figures, threads.
#include <parley/borrowed_frame.hpp>
#include <parley/error.hpp>
#include <parley/poller.hpp>
#include <parley/socket.hpp>
#include <parley/socket_rest.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::code_of;
using support::join;
using support::patience;

namespace {

std::string next(socket& from) {
  auto incoming = from.receive_for(patience);
  return incoming ? incoming->back().str() : "nothing";
}

socket_options limits(int limit) {
  socket_options options;
  options.send_limit = limit;
  options.receive_limit = limit;
  return options;
}

std::uint64_t out_of(const socket& sender) {
  const socket_statistics figures = sender.statistics();
  return figures.messages_sent - figures.queued - figures.dropped_full - figures.dropped_gone;
}

// The rule of socket::fd(): look, and sleep on a no.
void sleep_until_readable(socket& waiting) {
  while (!waiting.ready().receive) {
    pollfd item{waiting.fd(), POLLIN, 0};
    REQUIRE(::poll(&item, 1, 10'000) == 1);
  }
}

// Of this thread.
std::chrono::nanoseconds time_on_processor() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

}  // namespace

TEST_CASE("a message moves through a pipe: the body is the same, the sender's is empty") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://moves");
  message large{frame{std::string(100'000, 'b')}};
  const std::byte* const bytes = large.front().data();
  sockets.connected.send(std::move(large));
  CHECK(large.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  CHECK(sockets.bound.receive().front().data() == bytes);
}

TEST_CASE("a pipe's name is bound once, and free again when its socket is gone") {
  context owner;
  context other;
  std::optional<socket> first{std::in_place, owner, socket_kind::pull};
  socket second{owner, socket_kind::pull};
  socket elsewhere{other, socket_kind::pull};
  first->bind("pipe://name");
  elsewhere.bind("pipe://name");  // names are a context's own
  CHECK(code_of([&] { second.bind("pipe://name"); }) == errc::cannot_bind);
  first.reset();
  CHECK(second.bind("pipe://name") == endpoint{"pipe://name"});
  second.unbind("pipe://name");
  CHECK(code_of([&] { second.unbind("pipe://name"); }) == errc::invalid_endpoint);
  CHECK(code_of([&] { second.disconnect("pipe://name"); }) == errc::invalid_endpoint);
}

TEST_CASE("kinds that cannot talk are told at once") {
  context owner;
  socket pub{owner, socket_kind::pub};
  socket push{owner, socket_kind::push};
  socket stream{owner, socket_kind::stream};
  pub.bind("pipe://kinds");
  CHECK(code_of([&] { push.connect("pipe://kinds"); }) == errc::cannot_connect);
  CHECK(code_of([&] { stream.connect("pipe://kinds"); }) == errc::unsupported);
}

TEST_CASE("a connect outlives who was bound, and finds the next") {
  context owner;
  socket push{owner, socket_kind::push};
  socket sub{owner, socket_kind::sub};
  push.connect("pipe://line");
  sub.connect("pipe://feed");
  sub.subscribe("a");
  for (int round = 0; round < 3; ++round) {
    socket pull{owner, socket_kind::pull};
    pull.bind("pipe://line");
    push.send(message(std::to_string(round)));
    CHECK(next(pull) == std::to_string(round));
    // Nobody touches the subscriber: who joins the two brings its subscriptions along.
    socket xpub{owner, socket_kind::xpub};
    xpub.bind("pipe://feed");
    CHECK(next(xpub) == "\1a");
    xpub.send(message("abc"));
    CHECK(next(sub) == "abc");
  }
}

TEST_CASE("what was sent to an unbound name is delivered, also when its sender is gone") {
  context owner;
  {
    socket push{owner, socket_kind::push};
    push.connect("pipe://later");
    push.send(message("early"));
  }
  socket pull{owner, socket_kind::pull};
  pull.bind("pipe://later");
  CHECK(next(pull) == "early");
}

TEST_CASE("an unbound name takes no more than the limit, and nothing when only_connected is set") {
  context owner;
  socket push{owner, socket_kind::push, limits(3)};
  push.connect("pipe://nobody");
  for (int index = 0; index < 3; ++index) {
    CHECK(push.try_send(message("x")));
  }
  CHECK_FALSE(push.try_send(message("x")));
  CHECK_FALSE(push.can_send());

  socket_options careful;
  careful.only_connected = true;
  socket waits{owner, socket_kind::push, careful};
  waits.connect("pipe://nobody");
  CHECK_FALSE(waits.try_send(message("x")));
  socket pull{owner, socket_kind::pull};
  pull.bind("pipe://nobody");
  CHECK(waits.try_send(message("x")));
}

TEST_CASE("an unbind keeps the links that are there, a disconnect ends one") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://ends");
  sockets.bound.unbind("pipe://ends");
  sockets.connected.send(message("still here"));
  CHECK(next(sockets.bound) == "still here");
  sockets.connected.send(message("before it"));
  sockets.connected.disconnect("pipe://ends");
  CHECK_FALSE(sockets.connected.try_send(message("after it")));
  CHECK(next(sockets.bound) == "before it");
  CHECK_FALSE(sockets.bound.try_receive());
}

TEST_CASE("who was linked to a socket that is gone goes over to who has the name now") {
  context owner;
  std::optional<socket> first{std::in_place, owner, socket_kind::pull};
  socket push{owner, socket_kind::push};
  push.connect(first->bind("pipe://handed-on"));
  first->unbind("pipe://handed-on");
  socket second{owner, socket_kind::pull};
  second.bind("pipe://handed-on");
  push.send(message("first"));
  CHECK(next(*first) == "first");
  first.reset();
  push.send(message("second"));
  CHECK(next(second) == "second");
}

TEST_CASE("a peer under a name that is in use is not heard, and refused") {
  context owner;
  socket_options named;
  named.routing_id = "desk";
  socket router{owner, socket_kind::router};
  router.bind("pipe://names");
  socket first{owner, socket_kind::dealer, named};
  socket second{owner, socket_kind::dealer, named};
  first.connect("pipe://names");
  second.connect("pipe://names");
  CHECK(second.try_send(message("unheard")));  // the router has not looked yet
  CHECK_FALSE(router.try_receive());
  CHECK_FALSE(second.try_send(message("refused")));
  CHECK(second.statistics().dropped_gone == 1);
}

TEST_CASE("a peer destroyed while its pipe is full or empty leaves the other usable") {
  for (const bool full : {false, true}) {
    context owner;
    socket push{owner, socket_kind::push, limits(4)};
    push.connect("pipe://leaves");
    {
      socket pull{owner, socket_kind::pull, limits(4)};
      pull.bind("pipe://leaves");
      while (full && push.try_send(message("lost"))) {
      }
    }
    socket pull{owner, socket_kind::pull, limits(4)};
    pull.bind("pipe://leaves");
    push.send(message("found"));
    CHECK(next(pull) == "found");
    CHECK(push.statistics().dropped_gone == (full ? 8 : 0));
    CHECK(out_of(push) == 1);
  }
}

TEST_CASE("a second peer of a pair is turned away, the next after the first left is not") {
  context owner;
  socket bound{owner, socket_kind::pair};
  bound.bind("pipe://exclusive");
  std::optional<socket> first{std::in_place, owner, socket_kind::pair};
  first->connect("pipe://exclusive");
  socket second{owner, socket_kind::pair};
  second.connect("pipe://exclusive");
  CHECK_FALSE(bound.try_receive().has_value());
  CHECK_FALSE(second.try_send(message("turned away")));
  first->send(message("first"));
  CHECK(next(bound) == "first");
  first.reset();
  socket third{owner, socket_kind::pair};
  third.connect("pipe://exclusive");
  third.send(message("third"));
  CHECK(next(bound) == "third");
}

TEST_CASE("a peer's end wakes who waits for room") {
  context owner;
  std::optional<socket> pull{std::in_place, owner, socket_kind::pull, limits(1)};
  socket push{owner, socket_kind::push, limits(1)};
  push.connect(pull->bind("pipe://room"));
  while (push.try_send(message("x"))) {
  }
  std::thread sender{[&] { push.send(message("waits")); }};
  pull.reset();
  sender.join();  // into the waiting room of the name, which is free again
  pull.emplace(owner, socket_kind::pull);
  pull->bind("pipe://room");
  CHECK(next(*pull) == "waits");
}

TEST_CASE("shutting the context down ends waits over pipes, in both directions") {
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "pipe://shutdown", limits(1));
  while (sockets.connected.try_send(message("x"))) {
  }
  errc sender = errc{};
  errc receiver = errc{};
  std::thread sends{[&] { sender = code_of([&] { sockets.connected.send(message("x")); }); }};
  socket idle{owner, socket_kind::pull};  // has no endpoint at all
  std::thread receives{[&] { receiver = code_of([&] { static_cast<void>(idle.receive()); }); }};
  owner.shutdown();
  sends.join();
  receives.join();
  CHECK(sender == errc::closed);
  CHECK(receiver == errc::closed);
  socket late{owner, socket_kind::pull};
  CHECK(code_of([&] { static_cast<void>(late.receive()); }) == errc::closed);
}

TEST_CASE("who joins a socket that has one peer gets every second turn") {
  context owner;
  socket pull{owner, socket_kind::pull};
  socket push{owner, socket_kind::push};
  push.connect(pull.bind("pipe://joined"));
  for (int count = 0; count < 8; ++count) {
    push.send(message("first"));
  }
  CHECK(next(pull) == "first");

  socket second{owner, socket_kind::push};
  second.connect("pipe://joined");
  for (int count = 0; count < 3; ++count) {
    second.send(message("second"));
  }
  std::string heard;
  for (int count = 0; count < 6; ++count) {
    heard += next(pull).front();
  }
  CHECK(heard == "sfsfsf");

  socket other{owner, socket_kind::pull};
  push.connect(other.bind("pipe://joined too"));
  for (int count = 0; count < 6; ++count) {
    push.send(message("dealt"));
  }
  for (int count = 0; count < 3; ++count) {
    CHECK(next(other) == "dealt");
  }
  CHECK_FALSE(other.try_receive());
}

TEST_CASE("who is left of two receivers gets all, and the other is forgotten") {
  context owner;
  socket push{owner, socket_kind::push};
  const endpoint where = push.bind("pipe://left");
  socket stays{owner, socket_kind::pull};
  stays.connect(where);
  const std::string unread(1000, 'u');
  bool is_forgotten = false;
  {
    socket goes{owner, socket_kind::pull};
    goes.connect(where);
    for (const char* each : {"one", "two", "three"}) {
      push.send(message(each));
    }
    push.send(message{borrow(std::as_bytes(std::span{unread}), [&] { is_forgotten = true; })});
    CHECK(next(goes) == "two");
  }
  for (const char* each : {"five", "six"}) {
    push.send(message(each));
  }
  CHECK(push.statistics().peers == 1);
  CHECK(push.statistics().dropped_gone == 1);
  CHECK(is_forgotten);  // with all that it did not read
  for (const char* each : {"one", "three", "five", "six"}) {
    CHECK(next(stays) == each);
  }
}

TEST_CASE("a message that was looked for is received first, and libzmq's have their turn") {
  context owner;
  socket pull{owner, socket_kind::pull};
  socket near{owner, socket_kind::push};
  near.connect(pull.bind("pipe://looked"));
  for (int count = 0; count < 8; ++count) {
    near.send(message(std::to_string(count)));
  }
  CHECK(pull.can_receive());
  CHECK(next(pull) == "0");
  CHECK(next(pull) == "1");

  socket far{owner, socket_kind::push};
  far.connect(pull.bind("inproc://looked"));
  far.send(message("far"));
  far.send(message("far"));
  std::multiset<std::string> heard;
  for (int count = 0; count < 4; ++count) {
    heard.insert(next(pull));
  }
  CHECK(heard == std::multiset<std::string>{"2", "3", "far", "far"});
}

TEST_CASE("an xsub passes on what found no room while it has messages to receive") {
  context owner;
  socket xpub{owner, socket_kind::xpub, limits(4)};
  socket xsub{owner, socket_kind::xsub, limits(4)};
  xsub.connect(xpub.bind("pipe://crowded"));
  xsub.subscribe("");
  CHECK(next(xpub) == std::string{'\1'});
  for (int count = 0; count < 8; ++count) {
    xpub.send(message("news"));
  }
  for (int count = 0; count < 12; ++count) {  // 8 find room
    xsub.subscribe(std::to_string(count));
  }
  int told = 0;
  for (int count = 0; count < 8; ++count) {
    CHECK(next(xsub) == "news");
    while (xpub.try_receive()) {
      ++told;
    }
  }
  CHECK(told == 12);
}

TEST_CASE("of many links, one that was idle is heard though others never stop") {
  context owner;
  socket pull{owner, socket_kind::pull};
  const endpoint where = pull.bind("pipe://many");
  std::vector<socket> pushes;
  for (int count = 0; count < 40; ++count) {
    pushes.emplace_back(owner, socket_kind::push).connect(where);
  }
  for (int count = 0; count < 1000; ++count) {
    pushes[3].send(message("busy"));
    pushes[7].send(message("busy"));
  }
  CHECK(next(pull) == "busy");
  pushes[20].send(message("idle"));
  int before = 1;
  while (next(pull) == "busy") {
    ++before;
  }
  CHECK(before <= 80);  // as many as there are links, and then its turn
  while (pull.try_receive()) {
    ++before;
  }
  CHECK(before == 2000);
}

TEST_CASE("many links come and go while others are read, and nothing is lost") {
  context owner;
  socket pull{owner, socket_kind::pull};
  const endpoint where = pull.bind("pipe://many");
  std::deque<socket> pushes;
  std::size_t received = 0;
  for (int round = 0; round < 200; ++round) {
    pushes.emplace_back(owner, socket_kind::push).connect(where);
    for (socket& each : pushes) {
      each.send(message("task"));
    }
    for (int count = 0; count < 10; ++count) {
      received += pull.try_receive() ? 1 : 0;
    }
    if (pushes.size() > 40) {
      pushes.erase(pushes.begin() + round % 40);
    }
  }
  pushes.clear();
  while (pull.try_receive()) {
    ++received;
  }
  CHECK(received == 40 * 41 / 2 + 160 * 41);
  CHECK(pull.statistics().peers == 0);
}

TEST_CASE("one socket serves pipes and tcp at once") {
  context owner;
  socket pull{owner, socket_kind::pull};
  socket near{owner, socket_kind::push};
  socket far{owner, socket_kind::push};
  near.connect(pull.bind("pipe://both"));
  far.connect(pull.bind("tcp://127.0.0.1:0"));
  // Waits on both at once: neither sender starts before the receiver sleeps, or after; both arrive.
  for (int round = 0; round < 20; ++round) {
    std::thread sender{[&] { (round % 2 == 0 ? near : far).send(message(std::to_string(round))); }};
    CHECK(next(pull) == std::to_string(round));
    sender.join();
  }

  socket push{owner, socket_kind::push};
  socket here{owner, socket_kind::pull};
  socket there{owner, socket_kind::pull};
  here.connect(push.bind("pipe://from"));
  there.bind("inproc://from");
  push.connect("inproc://from");
  for (int index = 0; index < 10; ++index) {
    push.send(message("task"));
  }
  for (int index = 0; index < 5; ++index) {
    CHECK(next(here) == "task");
    CHECK(next(there) == "task");
  }
}

TEST_CASE("a pair with both carriers can send when the peer that it sends to has room") {
  context owner;
  socket pair{owner, socket_kind::pair, limits(1)};
  socket near{owner, socket_kind::pair, limits(1)};
  socket far{owner, socket_kind::pair, limits(1)};
  far.connect(pair.bind("inproc://far"));
  near.connect(pair.bind("pipe://near"));
  int sent = 0;
  while (sent < 100 && pair.try_send(message(std::to_string(sent)))) {
    ++sent;
  }
  REQUIRE(sent < 100);
  CHECK_FALSE(pair.can_send());
  CHECK_FALSE(pair.ready().send);
  CHECK_FALSE(pair.send_for(message("no room"), 1ms));
  CHECK(next(near) == "0");
  CHECK(pair.send_for(message("room"), patience));
}

TEST_CASE("a message goes to subscribers of both carriers, whichever came first") {
  context owner;
  socket xpub{owner, socket_kind::xpub};
  socket sub{owner, socket_kind::sub};
  sub.subscribe("a");  // before there is any carrier
  sub.connect(xpub.bind("tcp://127.0.0.1:0"));
  CHECK(next(xpub) == "\1a");
  socket near{owner, socket_kind::sub};
  near.connect(xpub.bind("pipe://feed"));
  near.subscribe("ab");
  CHECK(next(xpub) == "\1ab");
  xpub.send(message("abc"));
  CHECK(next(sub) == "abc");
  CHECK(next(near) == "abc");

  socket other{owner, socket_kind::xpub};
  other.bind("pipe://other");
  sub.connect("pipe://other");  // the second carrier learns what was subscribed before
  CHECK(next(other) == "\1a");
  other.send(message("a from the other"));
  CHECK(next(sub) == "a from the other");
}

TEST_CASE("subscriptions that come and go do not pile up where nobody reads of them") {
  context owner;
  socket xpub{owner, socket_kind::xpub, limits(4)};
  socket sub{owner, socket_kind::sub, limits(4)};
  sub.connect(xpub.bind("pipe://fickle"));
  const bool is_busy = GENERATE(true, false);  // an idle publisher leaves them with the subscriber
  for (int count = 0; count < 1000; ++count) {
    const std::string prefix = std::to_string(count);
    sub.subscribe(prefix);
    sub.unsubscribe(prefix);
    if (is_busy) {
      xpub.send(message("news"));
    }
  }
  sub.subscribe("end");
  int unread = 0;
  for (std::string told; told != "\1end"; ++unread) {
    static_cast<void>(sub.try_receive());  // passes on what found no room
    if (const auto news = xpub.try_receive()) {
      told = news->front().str();
    }
  }
  CHECK(unread < 20);
}

TEST_CASE("an xpub that is not read keeps no more than its limit of what xsubs send") {
  context owner;
  socket xpub{owner, socket_kind::xpub, limits(2)};
  socket xsub{owner, socket_kind::xsub, limits(8)};
  xsub.connect(xpub.bind("pipe://upstream"));
  for (int count = 0; count < 6; ++count) {
    xsub.send(message("upstream"));
  }
  xpub.send(message("news"));  // takes in what there is
  CHECK(next(xpub) == "upstream");
  CHECK(next(xpub) == "upstream");
  CHECK_FALSE(xpub.try_receive());
  CHECK(xpub.statistics().messages_received == 6);
  CHECK(xpub.statistics().dropped_unwanted == 4);
}

TEST_CASE("requests come by both carriers, and replies go back the way they came") {
  context owner;
  socket rep{owner, socket_kind::rep};
  socket router{owner, socket_kind::router};
  const endpoint places[] = {rep.bind("pipe://rep"), rep.bind("tcp://127.0.0.1:0")};
  const endpoint routes[] = {router.bind("pipe://router"), router.bind("tcp://127.0.0.1:0")};
  for (int round = 0; round < 4; ++round) {
    socket req{owner, socket_kind::req};
    req.connect(places[round % 2]);
    req.send(message("question"));
    CHECK(next(rep) == "question");
    rep.send(message("answer"));
    CHECK(next(req) == "answer");

    socket dealer{owner, socket_kind::dealer};
    dealer.connect(routes[round % 2]);
    dealer.send(message("hello"));
    auto hello = router.receive_for(patience);
    REQUIRE(hello.has_value());
    CHECK(router.send_for(std::move(*hello), patience));
    CHECK(next(dealer) == "hello");
  }
  socket req{owner, socket_kind::req};
  req.connect(places[0]);
  req.connect(places[1]);
  for (int round = 0; round < 4; ++round) {
    req.send(message("question"));
    CHECK(code_of([&] { static_cast<void>(req.try_send(message("x"))); }) == errc::out_of_turn);
    CHECK(next(rep) == "question");
    rep.send(message("answer"));
    CHECK(next(req) == "answer");
  }
}

TEST_CASE("what a pipe brings and nobody wants is not mixed up with what libzmq has") {
  context owner;
  socket near{owner, socket_kind::xpub};
  socket far{owner, socket_kind::xpub};
  socket sub{owner, socket_kind::sub};
  sub.subscribe("unwanted");
  sub.subscribe("b");
  sub.connect(near.bind("pipe://unwanted"));
  sub.connect(far.bind("inproc://wanted"));
  for (socket* each : {&near, &near, &far, &far}) {
    REQUIRE(each->receive_for(patience));
  }
  near.send(message("unwanted"));
  sub.unsubscribe("unwanted");
  for (const char* each : {"b1", "b2", "b3"}) {
    far.send(message(each));
  }
  for (const char* each : {"b1", "b2", "b3"}) {
    CHECK(sub.receive_for(patience) == message(each));
  }
}

TEST_CASE("a request that is none is not mixed up with one by the other carrier") {
  context owner;
  socket rep{owner, socket_kind::rep};
  socket dealer{owner, socket_kind::dealer};
  socket req{owner, socket_kind::req};
  dealer.connect(rep.bind("pipe://no-envelope"));
  req.connect(rep.bind("inproc://envelope"));
  dealer.send(message("no envelope"));
  dealer.send(message("none here either"));
  req.send(message("question"));
  CHECK(rep.receive_for(patience) == message("question"));
}

TEST_CASE("a question by tcp is heard though those by pipe never end") {
  context owner;
  socket rep{owner, socket_kind::rep};
  socket busy{owner, socket_kind::dealer};
  socket req{owner, socket_kind::req};
  busy.connect(rep.bind("pipe://busy"));
  req.connect(rep.bind("tcp://127.0.0.1:0"));
  for (int count = 0; count < 100; ++count) {
    busy.send(message{frame{}, frame{"by pipe"}});
  }
  req.send(message("by tcp"));
  pollfd arrival{rep.native().get(zmq::sockopt::fd), POLLIN, 0};
  while ((rep.native().get(zmq::sockopt::events) & ZMQ_POLLIN) == 0) {
    REQUIRE(::poll(&arrival, 1, 10'000) == 1);
  }
  int before = 0;
  for (; next(rep) != "by tcp" && before < 100; ++before) {
    rep.send(message("answer"));
  }
  CHECK(before < 4);
}

TEST_CASE("a question by tcp gets its answer though a pipe comes in between") {
  context owner;
  socket rep{owner, socket_kind::rep};
  socket req{owner, socket_kind::req};
  req.connect(rep.bind("tcp://127.0.0.1:*"));
  req.send(message("question"));
  req.bind("pipe://between-req");
  CHECK(next(rep) == "question");
  rep.bind("pipe://between-rep");
  CHECK(rep.can_send());
  rep.send(message("answer"));
  CHECK(next(req) == "answer");
}

TEST_CASE("who waits for a reply sleeps, whatever the other carrier has meanwhile") {
  context owner;
  socket rep{owner, socket_kind::rep};
  socket late{owner, socket_kind::rep};
  socket req{owner, socket_kind::req};
  const bool asks_by_pipe = GENERATE(true, false);
  const endpoint by_pipe = req.bind("pipe://asks");
  const endpoint by_tcp = req.bind("tcp://127.0.0.1:*");
  rep.connect(asks_by_pipe ? by_pipe : by_tcp);
  REQUIRE(req.send_for(message("question"), patience));
  late.connect(asks_by_pipe ? by_tcp : by_pipe);
  if (asks_by_pipe) {
    pollfd arrival{req.native().get(zmq::sockopt::fd), POLLIN, 0};
    REQUIRE(::poll(&arrival, 1, 10'000) == 1);
  }
  const auto before = time_on_processor();
  CHECK_FALSE(req.receive_for(300ms));
  CHECK(time_on_processor() - before < 100ms);
  CHECK(next(rep) == "question");
  rep.send(message("answer"));
  CHECK(next(req) == "answer");
}

TEST_CASE("who waits at both carriers is woken, also after somebody rested at the socket") {
  if (!support::may_fork) {
    return;
  }
  support::child may_hang{[](const support::child::line&) {
    context owner;
    socket pull{owner, socket_kind::pull};
    socket push{owner, socket_kind::push};
    push.connect(pull.bind("pipe://rested"));
    pull.bind("tcp://127.0.0.1:*");
    std::atomic<int> asked{0};
    std::jthread sender{[&](const std::stop_token& stop) {
      for (int sent = 0; !stop.stop_requested();) {
        std::this_thread::yield();  // most times the other one is asleep then
        if (asked.load() > sent) {
          push.send(message("x"));
          ++sent;
        }
      }
    }};
    for (int round = 0; round < 300; ++round) {
      static_cast<void>(detail::socket_rest::begin(pull));
      detail::socket_rest::end(pull);
      ++asked;
      static_cast<void>(pull.receive());
    }
  }};
  CHECK(may_hang.finish() == 0);
}

TEST_CASE("the descriptor of a socket stays, and fires for both carriers") {
  context owner;
  socket pull{owner, socket_kind::pull};
  const int fd = pull.fd();  // before there is any endpoint
  for (const std::string where : {"pipe://fd", "tcp://127.0.0.1:0", "inproc://fd"}) {
    socket push{owner, socket_kind::push};
    push.connect(pull.bind(where));
    CHECK(pull.fd() == fd);
    for (int round = 0; round < 50; ++round) {
      std::thread sender{[&] { push.send(message(where)); }};
      sleep_until_readable(pull);
      CHECK(pull.try_receive() == message(where));
      sender.join();
    }
  }
}

TEST_CASE("the descriptor fires when there is room again, and for the context's end") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://room", limits(1));
  const int fd = sockets.connected.fd();
  while (sockets.connected.try_send(message("x"))) {
  }
  pollfd item{fd, POLLIN, 0};
  CHECK(::poll(&item, 1, 0) == 0);
  CHECK(sockets.bound.try_receive());
  CHECK(::poll(&item, 1, 10'000) == 1);
  CHECK(sockets.connected.can_send());
  pollfd other{sockets.bound.fd(), POLLIN, 0};
  while (sockets.bound.try_receive()) {
  }
  CHECK(::poll(&other, 1, 0) == 0);
  owner.shutdown();
  CHECK(::poll(&other, 1, 10'000) == 1);
}

TEST_CASE("one look at both directions takes no news away from either") {
  context owner;
  for (const std::string where : {"pipe://look", "inproc://look"}) {
    INFO(where);
    auto sockets = join(owner, socket_kind::pair, socket_kind::pair, where, limits(1));
    socket& watched = sockets.bound;
    pollfd item{watched.fd(), POLLIN, 0};
    while (watched.try_send(message("x"))) {
    }
    const socket_readiness before = watched.ready();
    CHECK_FALSE(before.receive);
    CHECK_FALSE(before.send);
    CHECK(::poll(&item, 1, 0) == 0);
    sockets.connected.send(message("news"));
    CHECK(::poll(&item, 1, 10'000) == 1);
    const socket_readiness after = watched.ready();
    CHECK(after.receive);
    CHECK_FALSE(after.send);
    CHECK(::poll(&item, 1, 0) == 0);  // told, and not wanted: silence
    while (sockets.connected.try_receive()) {
    }
    CHECK(::poll(&item, 1, 10'000) == 1);
    CHECK(watched.ready().send);
    CHECK(::poll(&item, 1, 0) == 0);
  }
}

TEST_CASE("a poller waits on pipes and on libzmq together") {
  context owner;
  auto near = join(owner, socket_kind::pull, socket_kind::push, "pipe://poller");
  auto far = join(owner, socket_kind::pull, socket_kind::push, "tcp://127.0.0.1:0");
  std::string log;
  poller waiting;
  waiting.add(near.bound, interest::input, [&] { log += near.bound.receive().front().str(); });
  waiting.add(far.bound, interest::input, [&] { log += far.bound.receive().front().str(); });
  for (int round = 0; round < 20; ++round) {
    std::thread sender{[&] { (round % 2 == 0 ? near : far).connected.send(message("x")); }};
    CHECK(waiting.wait_for(patience) == 1);
    sender.join();
  }
  CHECK(log == std::string(20, 'x'));
  CHECK(waiting.wait_for(1ms) == 0);
}

TEST_CASE("what was sent is received, queued or counted as dropped") {
  context owner;
  socket xpub{owner, socket_kind::xpub, limits(4)};
  xpub.bind("pipe://figures");
  socket fast{owner, socket_kind::sub, limits(1000)};
  fast.connect("pipe://figures");
  fast.subscribe("");
  {
    socket slow{owner, socket_kind::sub, limits(4)};
    slow.connect("pipe://figures");
    slow.subscribe("");
    for (int index = 0; index < 100; ++index) {
      xpub.send(message("12345"));
    }
    CHECK(xpub.statistics().peers == 2);
    CHECK(xpub.statistics().messages_sent == 200);
    CHECK(xpub.statistics().bytes_sent == 1000);
    CHECK(xpub.statistics().dropped_full == 100 - 8);
    CHECK(xpub.statistics().queued == 108);
    for (int index = 0; index < 3; ++index) {
      CHECK(next(slow) == "12345");
    }
    CHECK(out_of(xpub) == 3);
  }
  CHECK(xpub.statistics().dropped_gone == 5);
  for (int index = 0; index < 60; ++index) {
    CHECK(next(fast) == "12345");
  }
  CHECK(fast.statistics().messages_received == 60);
  CHECK(fast.statistics().bytes_received == 300);
  CHECK(out_of(xpub) == 63);
  CHECK(xpub.statistics().queued == 40);
}

TEST_CASE("figures hold while threads send and receive, and may be asked for by others") {
  context owner;
  socket pull{owner, socket_kind::pull, limits(8)};
  pull.bind("pipe://threads");
  constexpr int senders = 3;
  constexpr int each = 5'000;
  std::vector<socket> pushes;
  for (int index = 0; index < senders; ++index) {
    pushes.emplace_back(owner, socket_kind::push, limits(8)).connect("pipe://threads");
  }
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (socket& push : pushes) {
    threads.emplace_back([&push] {
      for (int index = 0; index < each; ++index) {
        push.send(frame{&index, sizeof index});
      }
    });
  }
  std::thread observer{[&] {
    std::uint64_t seen = 0;
    while (!done) {
      const std::uint64_t now = pull.statistics().messages_received;
      if (now < seen || pushes[0].statistics().messages_sent > each) {
        std::abort();
      }
      seen = now;
    }
  }};
  for (int index = 0; index < senders * each; ++index) {
    static_cast<void>(pull.receive());
  }
  done = true;
  observer.join();
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(pull.statistics().messages_received == senders * each);
  for (const socket& push : pushes) {
    CHECK(out_of(push) == each);
  }
}

TEST_CASE("threads connect, send and leave while others bind and leave") {
  context owner;
  std::atomic<bool> done{false};
  std::atomic<int> received{0};
  std::thread binder{[&] {
    while (!done) {
      socket pull{owner, socket_kind::pull, limits(16)};
      pull.bind("pipe://churn");
      for (int index = 0; index < 50 && pull.receive_for(1ms); ++index) {
        ++received;
      }
    }
  }};
  std::vector<std::thread> connectors;
  for (int thread = 0; thread < 3; ++thread) {
    connectors.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        socket push{owner, socket_kind::push, limits(16)};
        push.connect("pipe://churn");
        for (int index = 0; index < 10; ++index) {
          static_cast<void>(push.send_for(message("x"), 1ms));
        }
      }
    });
  }
  for (std::thread& thread : connectors) {
    thread.join();
  }
  done = true;
  binder.join();
  CHECK(received > 0);
}

TEST_CASE("10,000 sockets connect and leave, and nothing stays") {
  context owner;
  socket pull{owner, socket_kind::pull, limits(4)};
  pull.bind("pipe://many");
  for (int index = 0; index < 10'000; ++index) {
    socket push{owner, socket_kind::push, limits(4)};
    push.connect("pipe://many");
    push.send(message("x"));
    if (index % 100 == 99) {
      for (int queued = 0; queued < 100; ++queued) {
        REQUIRE(pull.try_receive());
      }
    }
  }
  CHECK_FALSE(pull.try_receive());
  CHECK(pull.statistics().peers == 0);
  socket push{owner, socket_kind::push};
  for (int index = 0; index < 10'000; ++index) {
    push.connect("pipe://many");
    push.disconnect("pipe://many");
  }
  CHECK_FALSE(pull.try_receive());
  CHECK(pull.statistics().peers == 0);
  CHECK(push.statistics().peers == 0);
}

#ifndef NDEBUG
TEST_CASE("two threads that use a socket at once are found, and told in words") {
  int told[2] = {};
  REQUIRE(::pipe(told) == 0);
  const pid_t child = ::fork();
  REQUIRE(child != -1);
  if (child == 0) {
    ::dup2(told[1], STDERR_FILENO);
    ::signal(SIGABRT, SIG_DFL);  // the test framework's own handler is no use here
    context owner;
    socket pull{owner, socket_kind::pull};
    pull.bind("pipe://misuse");
    std::thread waits{[&] { static_cast<void>(pull.receive()); }};
    for (;;) {
      static_cast<void>(pull.can_receive());  // until the other thread is in its call
    }
  }
  ::close(told[1]);
  std::string words;
  char chunk[256];
  for (ssize_t size = 0; (size = ::read(told[0], chunk, sizeof chunk)) > 0;) {
    words.append(chunk, static_cast<std::size_t>(size));
  }
  ::close(told[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(words.find("pull socket is used by two threads at the same time") != std::string::npos);
}
#endif

TEST_CASE("a relaxed request by tcp ends the one over pipe:// before it") {
  context owner;
  socket_options relaxed;
  relaxed.relaxed = true;
  parley::socket by_pipe{owner, socket_kind::rep};
  parley::socket by_tcp{owner, socket_kind::rep};
  parley::socket req{owner, socket_kind::req, relaxed};
  req.connect(by_pipe.bind("pipe://relaxed"));
  req.connect(by_tcp.bind("tcp://127.0.0.1:0"));
  // In turn, so each is asked once; the one by tcp last, asked again if it was the first.
  req.send("early");
  req.send("late");
  const bool tcp_was_first = by_pipe.receive_for(patience)->front() == "late";
  by_pipe.send("too late");
  if (tcp_was_first) {
    CHECK(req.can_receive());  // whoever looks has the message already
    req.send("late");
    REQUIRE(by_tcp.receive_for(patience));
    by_tcp.send("too late");
  }
  REQUIRE(by_tcp.receive_for(patience));
  by_tcp.send("in time");
  const auto reply = req.receive_for(patience);
  REQUIRE(reply);
  CHECK(reply->front() == "in time");
  CHECK_FALSE(req.can_receive());
  CHECK_THROWS_AS(req.try_receive(), error);  // out of turn
}

TEST_CASE("a relaxed request takes the place of one whose reply was looked at and not received") {
  context owner;
  socket_options relaxed;
  relaxed.relaxed = true;
  auto sockets = join(owner, socket_kind::rep, socket_kind::req, "pipe://looked-at", relaxed);
  for (const char* each : {"first", "second"}) {
    sockets.connected.send(message(each));
    CHECK(next(sockets.bound) == each);
    sockets.bound.send(message(each));
    CHECK(sockets.connected.can_receive());
  }
  CHECK(next(sockets.connected) == "second");
}
