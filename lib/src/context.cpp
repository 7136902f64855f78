// SPDX-License-Identifier: MPL-2.0
#include <parley/context.hpp>

#include <parley/error.hpp>

#include <parley/name_board.hpp>

#include "batch_keeper.hpp"
#include "pipe_registry.hpp"
#include "zmq_context.hpp"
#include "zmq_error.hpp"

namespace parley {

context::context(const context_options& options) {
  if (options.io_threads < 1) {
    throw config_error{"context_options.io_threads must be at least 1"};
  }
  if (options.max_sockets < 1) {
    throw config_error{"context_options.max_sockets must be at least 1"};
  }
  native_ = detail::with_zmq_errors(
      [] { return "make context"; },
      [&] {
        return std::shared_ptr<detail::zmq_context>{
            new detail::zmq_context{options.io_threads, options.max_sockets},
            detail::home_delete{}};
      });
  pipes_ = std::make_shared<detail::pipe_registry>();
  names_ = std::make_shared<detail::name_board>();
  batches_ = std::shared_ptr<detail::batch_keeper>{new detail::batch_keeper, detail::home_delete{}};
}

void context::shutdown() noexcept {
  if (!home_.is_here()) {
    return;  // nobody waits here
  }
  native_->shutdown();
  pipes_->shut_down();
}

zmq::context_t& context::native() const noexcept { return native_->native(); }

}  // namespace parley
