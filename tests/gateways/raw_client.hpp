// SPDX-License-Identifier: MPL-2.0
//
// A STOMP client of bytes in, bytes out, over a real socket.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "frames.hpp"
#include "support/connected.hpp"

namespace parley::stomp {

class raw_client {
 public:
  explicit raw_client(std::uint16_t port, int receive_buffer = 0)
      : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    if (receive_buffer != 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
      throw std::runtime_error{"cannot connect to the gateway"};
    }
  }
  // Connected in that version, with nothing else to read.
  raw_client(std::uint16_t port, version form, const std::string& more = {}) : raw_client{port} {
    send("CONNECT\naccept-version:" + std::string{to_string(form)} + "\nhost:x\n" + more + "\n^");
    if (!next().starts_with("CONNECTED")) throw std::runtime_error{"not connected"};
    reader_.set_version(form);
  }
  raw_client(raw_client&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)}, reader_{std::move(other.reader_)} {}
  ~raw_client() {
    if (fd_ >= 0) ::close(fd_);
  }

  // '^' stands for NUL. Waits until the gateway takes it.
  void send(std::string text) {
    std::replace(text.begin(), text.end(), '^', '\0');
    send_bytes(text);
  }
  void send_bytes(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0) throw std::runtime_error{"the gateway hung up"};
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // How much the gateway takes without waiting.
  std::size_t send_some(std::string_view text) {
    const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  // The next frame, as to_text shows it; "closed" at the end of the stream, "nothing" when none
  // comes in time.
  std::string next(std::chrono::milliseconds limit = support::patience) {
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
      switch (reader_.next()) {
        case frame_reader::outcome::frame:
          return to_text(reader_.current());
        case frame_reader::outcome::wrong:
          return "wrong: " + reader_.problem();
        case frame_reader::outcome::more:
          break;
      }
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd waited{fd_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waited, 1, static_cast<int>(left.count())) == 0) {
        return "nothing";
      }
      const auto room = reader_.prepare(64 * 1024);
      const auto got = ::recv(fd_, room.data(), room.size(), 0);
      if (got <= 0) return "closed";
      reader_.commit(static_cast<std::size_t>(got));
    }
  }
  // A header of the frame that next() returned last.
  std::string header(std::string_view name) const {
    return std::string{reader_.current().find(name).value_or("")};
  }
  std::string body() const { return std::string{reader_.current().body}; }

  // Sends with a receipt and waits for it; what came before is skipped.
  void send_and_wait(const std::string& command_and_headers, const std::string& body = {}) {
    const std::string receipt = "r" + std::to_string(++receipts_);
    send(command_and_headers + "receipt:" + receipt + "\n\n" + body + "^");
    for (;;) {
      const std::string came = next();
      if (came == "RECEIPT [receipt-id=" + receipt + "]") return;
      if (!came.starts_with("MESSAGE")) throw std::runtime_error{"no receipt but: " + came};
    }
  }
  void subscribe(const std::string& destination, const std::string& id = "s",
                 const std::string& more = {}) {
    send_and_wait("SUBSCRIBE\nid:" + id + "\ndestination:" + destination + "\n" + more);
  }

 private:
  int fd_;
  frame_reader reader_{{.headers = 128, .header_line = 64 * 1024, .body = 64 * 1024 * 1024}};
  int receipts_ = 0;
};

}  // namespace parley::stomp
