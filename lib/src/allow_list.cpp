// SPDX-License-Identifier: MPL-2.0
#include <parley/allow_list.hpp>
#include <parley/doorkeeper.hpp>
#include <parley/error.hpp>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>

namespace parley {
namespace {

using clock = std::chrono::steady_clock;
using key_set = std::set<curve_key>;

constexpr std::size_t z85_size = 40;
constexpr std::chrono::seconds fresh{1};

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

struct allow_list::state : detail::guest_list {
  state(context& owner, key_set fixed_keys, std::filesystem::path list)
      : fixed{std::move(fixed_keys)},
        source{std::move(list)},
        keeper{detail::doorkeeper::of(owner)} {
    keeper->obey(*this);
  }
  ~state() override { keeper->obey_nobody(); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  [[nodiscard]] bool lets_in(const curve_key& client) override {
    const bool is_known = source.empty() ? fixed.contains(client) : read().contains(client);
    (is_known ? allowed : refused).fetch_add(1, std::memory_order_relaxed);  // only a count
    return is_known;
  }

  [[nodiscard]] bool holds(const curve_key& key) override {
    if (source.empty()) {
      return fixed.contains(key);
    }
    const auto now = clock::now();
    {
      const std::lock_guard lock{mutex};
      if (now < look_again) {
        return read_last.contains(key);
      }
    }
    key_set found = read();  // may take long: nobody waits for it who does not want it
    const bool is_known = found.contains(key);
    const std::lock_guard lock{mutex};
    if (now + fresh > look_again) {
      read_last = std::move(found);
      look_again = now + fresh;
    }
    return is_known;
  }

  [[nodiscard]] key_set read() const {
    try {
      return read_keys(source);
    } catch (const std::exception&) {
      return {};  // being edited, or damaged
    }
  }

  const key_set fixed;
  const std::filesystem::path source;
  std::mutex mutex;  // of the two below
  key_set read_last;
  clock::time_point look_again{};
  std::atomic<std::uint64_t> allowed{0};
  std::atomic<std::uint64_t> refused{0};
  std::shared_ptr<detail::doorkeeper> keeper;
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
