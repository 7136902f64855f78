// SPDX-License-Identifier: MPL-2.0
//
// Two coroutines in one thread: one asks, the other answers.
//
// Run it: build/dev/examples/example_coroutine
// It prints three questions with their answers.
#include <parley/awaitable.hpp>

#include <chrono>
#include <iostream>
#include <stop_token>
#include <string>

using namespace std::chrono_literals;

parley::coroutine answer(parley::poller& loop, parley::socket& rep) {
  for (;;) {
    const parley::message question = co_await parley::receive(loop, rep);
    const std::string text = question.front().str();
    co_await parley::send(loop, rep, parley::frame{text + " is " + std::to_string(text.size())});
  }
}

parley::coroutine ask(parley::poller& loop, parley::socket& req, std::stop_source& end) {
  for (const std::string word : {"one", "three", "eleven"}) {
    co_await parley::send(loop, req, parley::frame{word});
    const auto reply = co_await parley::receive_for(loop, req, 10s);
    std::cout << (reply ? reply->front().str() : "no reply") << '\n';
    co_await parley::sleep_for(loop, 1ms);
  }
  end.request_stop();
}

int main() {
  parley::context context;
  parley::socket rep{context, parley::socket_kind::rep};
  parley::socket req{context, parley::socket_kind::req};
  req.connect(rep.bind("tcp://127.0.0.1:0"));

  parley::poller loop;
  std::stop_source end;
  parley::coroutine answering = answer(loop, rep);  // ends with its coroutine, wherever it waits
  parley::coroutine asking = ask(loop, req, end);
  answering.start();
  asking.start();
  loop.run(end.get_token());
}
