// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/name_board.hpp>
#include <parley/peers.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after

#include "peers_core.hpp"

#include <map>
#include <mutex>

#include <utility>

namespace parley {

using detail::deadline_after;

struct peers::state {
  state(context& owner, const peers_options& options)
      : names{owner.names()}, core{owner, options} {}

  const std::shared_ptr<detail::name_board> names;
  detail::peers_core core;
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, detail::name_board::entry> announced;
};

peers::peers(context& owner, const peers_options& options) : state_{new state{owner, options}} {}
peers::peers(peers&&) noexcept = default;
peers& peers::operator=(peers&&) noexcept = default;
peers::~peers() = default;

peer_id peers::id() const noexcept { return state_.get()->core.id(); }

const std::string& peers::name() const noexcept { return state_.get()->core.name(); }

void peers::join(std::string_view group) { state_->core.join(group); }

void peers::leave(std::string_view group) { state_->core.leave(group); }

bool peers::whisper_message(const peer_id& to, message content) {
  return state_->core.whisper(to, content);
}

std::size_t peers::shout_message(std::string_view group, message content) {
  return state_->core.shout(group, content);
}

std::uint64_t peers::send_letter_message(const std::string& identity, message content) {
  return state_->core.send_letter(identity, std::move(content));
}

void peers::mark_read(const peer_event& letter) { state_->core.mark_read(letter); }

std::size_t peers::letters_waiting(const std::string& identity) const {
  return state_->core.letters_waiting(identity);
}

std::uint64_t peers::send_file(const peer_id& to, const std::filesystem::path& file) {
  return state_->core.send_file(to, file);
}

bool peers::accept_file(std::uint64_t number, const std::filesystem::path& to,
                        existing_file existing) {
  return state_->core.accept_file(number, to, existing);
}

bool peers::cancel_file(std::uint64_t number) { return state_->core.cancel_file(number); }

peer_event peers::receive() {
  return *state_->core.receive_until(detail::peers_core::time_point::max());
}

std::optional<peer_event> peers::receive_for(duration limit) {
  return state_->core.receive_until(deadline_after(limit));
}

std::optional<peer_event> peers::try_receive() { return receive_for(duration::zero()); }

void peers::run(const std::function<void(const peer_event&)>& each, std::stop_token stop) {
  const std::stop_callback wake{stop, [this] { state_->core.wake_receivers(); }};
  while (!stop.stop_requested()) {
    if (const auto event =
            state_->core.receive_until(detail::peers_core::time_point::max(), stop)) {
      each(*event);
    }
  }
}

int peers::fd() const noexcept { return state_.get()->core.fd(); }

std::vector<peer_status> peers::here() const { return here({}); }

std::vector<peer_status> peers::here(std::string_view group) const {
  return state_->core.ask([&](const detail::peer_desk& desk) {
    std::vector<peer_status> all;
    for (const peer_id& each : desk.here(group)) {
      all.push_back(*desk.status(each));
    }
    return all;
  });
}

std::optional<peer_status> peers::find(const peer_id& who) const {
  return state_->core.ask([&](const detail::peer_desk& desk) { return desk.status(who); });
}

bool peers::wait_for_peers(std::size_t count, duration limit, std::string_view group) const {
  return state_->core.wait_for_peers(count, deadline_after(limit), group);
}

void peers::announce(const endpoint& name, const endpoint& where) {
  if (name.kind() != transport::service || where.kind() != transport::tcp || where.port() == 0) {
    throw config_error{"announce " + where.str() + " as " + name.str() +
                       ": that takes a service:name, and a tcp endpoint with its port"};
  }
  auto entry = state_->names->announce(name.address(), where);
  const std::lock_guard lock{state_->mutex};
  state_->announced.insert_or_assign({name.str(), where.str()}, std::move(entry));
}

void peers::withdraw(const endpoint& name, const endpoint& where) {
  const std::lock_guard lock{state_->mutex};
  state_->announced.erase({name.str(), where.str()});
}

std::vector<endpoint> peers::services(const endpoint& name) const {
  return state_->names->all(name.address());
}

std::optional<endpoint> peers::gossip() const { return state_->core.gossip_endpoint(); }

std::vector<interface_status> peers::interfaces() const { return state_->core.interfaces(); }

std::vector<neighbour> peers::neighbours() const { return state_->core.neighbours(); }

peers_statistics peers::statistics() const { return state_->core.statistics(); }

void peers::close() noexcept {
  if (state_.is_here()) {
    {
      const std::lock_guard lock{state_->mutex};
      state_->announced.clear();
    }
    state_->core.close();
  }
}

}  // namespace parley
