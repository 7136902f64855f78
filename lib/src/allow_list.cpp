// SPDX-License-Identifier: MPL-2.0
#include <parley/allow_list.hpp>
#include <parley/error.hpp>
#include <parley/poller.hpp>
#include <parley/socket.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "zap.hpp"

namespace parley {
namespace {

using key_set = std::set<curve_key>;

constexpr std::size_t z85_size = 40;

constexpr const char* zap_handler = "inproc://zeromq.zap.01";  // where libzmq asks

key_set read_file(const std::filesystem::path& path) {
  std::ifstream file{path};
  if (!file) {
    throw config_error{path.string() + " cannot be read"};
  }
  key_set keys;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line.front() == '#') {
      continue;
    }
    try {
      keys.insert(curve_key{std::string_view{line}.substr(0, z85_size)});
    } catch (const config_error&) {
      throw config_error{path.string() + " line " + std::to_string(number) +
                         ": does not begin with a CURVE key"};
    }
  }
  return keys;
}

key_set read_keys(const std::filesystem::path& source) {
  if (!std::filesystem::is_directory(source)) {
    return read_file(source);
  }
  key_set keys;
  for (const auto& entry : std::filesystem::directory_iterator{source}) {
    // Secret files may lie beside; what they hold of public keys is in the public ones too.
    if (entry.is_regular_file() && !entry.path().string().ends_with("_secret")) {
      keys.insert(read_public_key(entry.path()));
    }
  }
  return keys;
}

}  // namespace

struct allow_list::state {
  state(context& owner, key_set fixed_keys, std::filesystem::path list)
      : fixed{std::move(fixed_keys)},
        source{std::move(list)},
        requests{owner, socket_kind::rep},
        stop_fd{::eventfd(0, EFD_CLOEXEC)} {
    if (stop_fd < 0) {
      throw error{errc::out_of_resources, "make an allow list"};
    }
    try {
      requests.bind(zap_handler);
      thread = std::thread{[this] { answer(); }};
    } catch (...) {
      ::close(stop_fd);
      throw;
    }
  }

  ~state() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_fd, &one, sizeof one));
    thread.join();
    ::close(stop_fd);
  }

  void answer() {
    try {
      bool stopping = false;
      poller waiting;
      waiting.add(stop_fd, interest::input, [&] { stopping = true; });
      waiting.add(requests, interest::input, [&] { static_cast<void>(answer_one()); });
      while (!stopping) {
        waiting.wait();
      }
      // Who has asked gets an answer, or its handshake would stand until libzmq gives it up, after
      // 30 s.
      requests.unbind(zap_handler);
      while (answer_one()) {
      }
    } catch (const closed&) {
      // The context was shut down: nobody asks any more.
    }
  }

  // False: nobody asks.
  [[nodiscard]] bool answer_one() {
    const auto received = requests.try_receive();
    if (!received) {
      return false;
    }
    const auto request = detail::parse_zap_request(*received);
    if (!request) {
      // A reply is due all the same, else the socket is stuck; libzmq refuses what it cannot read.
      requests.send(message{""});
    } else if (request->is_plain) {
      requests.send(detail::zap_reply(*request, true, ""));  // none of our business
    } else {
      const bool known = request->client && contains(*request->client);
      (known ? allowed : refused).fetch_add(1, std::memory_order_relaxed);  // only a count
      requests.send(detail::zap_reply(*request, known, known ? request->client->z85() : ""));
    }
    return true;
  }

  [[nodiscard]] bool contains(const curve_key& client) const {
    if (source.empty()) {
      return fixed.contains(client);
    }
    try {
      return read_keys(source).contains(client);
    } catch (const std::exception&) {
      return false;  // being edited, or damaged
    }
  }

  const key_set fixed;
  const std::filesystem::path source;
  socket requests;
  int stop_fd;
  std::atomic<std::uint64_t> allowed{0};
  std::atomic<std::uint64_t> refused{0};
  std::thread thread;
};

allow_list::allow_list(context& owner, const std::vector<curve_key>& keys)
    : state_{new state{owner, key_set{keys.begin(), keys.end()}, std::filesystem::path{}}} {}

allow_list::allow_list(context& owner, const std::filesystem::path& source)
    : state_{new state{owner, read_keys(source), source}} {}

allow_list::~allow_list() = default;
allow_list::allow_list(allow_list&&) noexcept = default;
allow_list& allow_list::operator=(allow_list&&) noexcept = default;

std::uint64_t allow_list::allowed() const noexcept { return state_.get()->allowed.load(); }
std::uint64_t allow_list::refused() const noexcept { return state_.get()->refused.load(); }

}  // namespace parley
