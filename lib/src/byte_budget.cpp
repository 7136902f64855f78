// SPDX-License-Identifier: MPL-2.0
#include "byte_budget.hpp"

#include <parley/error.hpp>

#include "shared_options.hpp"

#include <atomic>
#include <utility>

namespace parley::detail {

struct byte_budget::account {
  account(std::size_t most, std::shared_ptr<doorbell> rung) : limit{most}, bell{std::move(rung)} {}

  [[nodiscard]] bool has_room() const noexcept {
    return out.load(std::memory_order_relaxed) < limit;  // a figure, it publishes nothing
  }

  const std::size_t limit;
  const std::shared_ptr<doorbell> bell;
  std::atomic<std::size_t> out{0};
};

struct byte_budget::counted_body : frame::body {
  counted_body(const frame& source, std::shared_ptr<account> charged)
      : body{[](body* self) noexcept {
          auto* const owner = static_cast<counted_body*>(self);
          const std::shared_ptr<account> credited = std::move(owner->account_);
          const std::size_t size = owner->source_.size();
          delete owner;
          credited->out.fetch_sub(size, std::memory_order_relaxed);
          credited->bell->ring();
        }},
        source_{source},
        account_{std::move(charged)} {
    account_->out.fetch_add(source_.size(), std::memory_order_relaxed);
  }

 private:
  frame source_;
  std::shared_ptr<account> account_;
};

byte_budget::byte_budget(std::shared_ptr<pipe_registry> registry, std::size_t limit)
    : registry_{std::move(registry)},
      mailbox_{std::make_shared<pipe_mailbox>(socket_kind::push, shared_options{})},
      account_{std::make_shared<account>(limit, mailbox_->write_bell)} {
  registry_->enter(mailbox_);
}

byte_budget::~byte_budget() { registry_->leave(mailbox_); }

bool byte_budget::has_room() noexcept {
  if (!account_->has_room()) {
    return false;
  }
  bell().disarm();
  return true;
}

bool byte_budget::wait_until(time_point deadline) {
  bell().disarm();
  const bool is_over =
      bell().wait([this] { return account_->has_room() || mailbox_->has_news(); }, deadline, {});
  check_open();
  return is_over;
}

bool byte_budget::rest() {
  const auto ready = [this] { return account_->has_room() || mailbox_->has_news(); };
  if (bell().is_waiting() && !ready()) {
    return true;
  }
  check_open();
  bell().disarm();
  return bell().arm(ready);
}

void byte_budget::check_open() const {
  if (mailbox_->has_news()) {
    throw closed{"send on a socket"};
  }
}

void byte_budget::charge(message& outgoing) const {
  for (frame& each : outgoing) {
    if (each.size() >= smallest) {
      auto* const owner = new counted_body{each, account_};
      each = frame::adopt(owner, each.data(), each.size());
    }
  }
}

}  // namespace parley::detail
