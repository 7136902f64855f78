// SPDX-License-Identifier: MPL-2.0
//
// A file from one peer to another, against a copy over a bare TCP connection: both read it, send it
// and write it, in memory's file system, so that no disk is measured.
#include <parley/peers.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "benches.hpp"
#include "tcp_stream.hpp"

namespace parley::bench {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr std::size_t file_bytes = std::size_t{256} << 20;
constexpr std::size_t buffer_bytes = std::size_t{256} << 10;

struct directory {
  fs::path path;

  directory() {
    const fs::path memory = "/dev/shm";
    std::string name =
        ((fs::exists(memory) ? memory : fs::temp_directory_path()) / "parley-XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr, "no directory");
    path = name;
    std::ofstream file{path / "sent", std::ios::binary};
    std::string block(buffer_bytes, ' ');
    std::uint64_t next = 1;
    for (char& each : block) {
      next = next * 6364136223846793005U + 1442695040888963407U;
      each = static_cast<char>(next >> 56);
    }
    for (std::size_t at = 0; at < file_bytes; at += block.size()) {
      file << block;
    }
    require(file.good(), "cannot write the file");
  }
  ~directory() { fs::remove_all(path); }
};

double rate(clock::time_point begun) {
  return static_cast<double>(file_bytes) / 1e6 /
         std::chrono::duration<double>(clock::now() - begun).count();
}

class pair_of_peers {
 public:
  pair_of_peers()
      : receiver_{receiver_context_,
                  {.name = "receiver", .port = 0, .gossip = "tcp://127.0.0.1:*"}},
        sender_{sender_context_, {.name = "sender", .port = 0, .seeds = {*receiver_.gossip()}}} {
    require(sender_.wait_for_peers(1, 10s) && receiver_.wait_for_peers(1, 10s),
            "no peer was found");
  }

  double copy() {
    const fs::path received = files_.path / "received";
    const auto begun = clock::now();
    static_cast<void>(sender_.send_file(receiver_.id(), files_.path / "sent"));
    for (;;) {
      const auto event = receiver_.receive_for(10s);
      require(event.has_value(), "the file does not come");
      if (event->what == peer_event::kind::file_offered) {
        require(receiver_.accept_file(event->number, received), "it is not offered any more");
      } else if (event->what == peer_event::kind::file_done) {
        break;
      } else {
        require(event->what != peer_event::kind::file_failed, "the file was not sent");
      }
    }
    const double figure = rate(begun);
    for (auto told = sender_.receive_for(10s);; told = sender_.receive_for(10s)) {
      require(told && told->what != peer_event::kind::file_failed, "the sender is not told");
      if (told->what == peer_event::kind::file_done) {
        break;
      }
    }
    fs::remove(received);
    return figure;
  }

 private:
  directory files_;
  context sender_context_;
  context receiver_context_;  // as in another program
  peers receiver_;
  peers sender_;
};

void send_raw(std::uint16_t port, const fs::path& file) {
  const stream to{port};
  const int from = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  require(from >= 0, "no file");
  std::string buffer(buffer_bytes, ' ');
  for (;;) {
    const auto got = ::read(from, buffer.data(), buffer.size());
    require(got >= 0, "cannot read");
    if (got == 0) break;
    to.send({buffer.data(), static_cast<std::size_t>(got)});
  }
  ::close(from);
}

void receive_raw(int listener, const fs::path& file) {
  const int from = ::accept(listener, nullptr, nullptr);
  const int to = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(from >= 0 && to >= 0, "no connection, or no file");
  std::string buffer(buffer_bytes, ' ');
  for (;;) {
    const auto got = ::recv(from, buffer.data(), buffer.size(), 0);
    require(got >= 0, "cannot receive");
    if (got == 0) break;
    require(::write(to, buffer.data(), static_cast<std::size_t>(got)) == got, "cannot write");
  }
  require(::fdatasync(to) == 0, "cannot write");
  ::close(to);
  ::close(from);
}

double copy_raw() {
  const directory files;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where = loopback(0);
  socklen_t size = sizeof where;
  require(::bind(listener, reinterpret_cast<sockaddr*>(&where), size) == 0 &&
              ::listen(listener, 1) == 0 &&
              ::getsockname(listener, reinterpret_cast<sockaddr*>(&where), &size) == 0,
          "cannot listen");
  const auto begun = clock::now();
  {
    const std::jthread sender{[&] { send_raw(ntohs(where.sin_port), files.path / "sent"); }};
    receive_raw(listener, files.path / "received");
  }
  const double figure = rate(begun);
  ::close(listener);
  return figure;
}

}  // namespace

std::vector<bench_case> peers_file_transfer() {
  const auto both = std::make_shared<std::unique_ptr<pair_of_peers>>();
  return {{"file of 256 MiB",
           "MB/s",
           better::more,
           [both] {
             if (!*both) {
               *both = std::make_unique<pair_of_peers>();
             }
             return (*both)->copy();
           },
           {{"copy over raw TCP", [] { return copy_raw(); }, 0.7}}}};
}

}  // namespace parley::bench
