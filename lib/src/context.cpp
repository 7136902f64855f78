// SPDX-License-Identifier: MPL-2.0
#include <parley/context.hpp>

#include <parley/error.hpp>

#include <parley/name_board.hpp>

#include "batch_keeper.hpp"
#include "pipe_registry.hpp"
#include "zmq_context.hpp"
#include "zmq_error.hpp"

namespace parley {

struct context::parts {
  explicit parts(const context_options& options)
      : libzmq{options.io_threads, options.max_sockets} {}

  detail::zmq_context libzmq;
  const std::shared_ptr<detail::pipe_registry> pipes = std::make_shared<detail::pipe_registry>();
  const std::shared_ptr<detail::name_board> names = std::make_shared<detail::name_board>();
  detail::batch_keeper batches;  // goes before libzmq's context, which waits
};

context::context(const context_options& options) {
  if (options.io_threads < 1) {
    throw config_error{"context_options.io_threads must be at least 1"};
  }
  if (options.max_sockets < 1) {
    throw config_error{"context_options.max_sockets must be at least 1"};
  }
  parts_ = detail::with_zmq_errors(
      [] { return "make context"; },
      [&] {
        return std::shared_ptr<parts>{new parts{options}, detail::home_delete{}};
      });
}

void context::shutdown() noexcept {
  if (!home_.is_here()) {
    return;  // nobody waits here
  }
  parts_->libzmq.shutdown();
  parts_->pipes->shut_down();
}

zmq::context_t& context::native() const noexcept { return parts_->libzmq.native(); }
detail::zmq_context& context::libzmq() const noexcept { return parts_->libzmq; }

const std::shared_ptr<detail::pipe_registry>& context::pipes() const noexcept {
  return parts_->pipes;
}

detail::batch_keeper& context::batches() const noexcept { return parts_->batches; }
const std::shared_ptr<detail::name_board>& context::names() const noexcept { return parts_->names; }

}  // namespace parley
