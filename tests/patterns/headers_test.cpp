// SPDX-License-Identifier: MPL-2.0
//
// The headers of lib/ and patterns/ together in one file: no name means two things.
#include <parley/allow_list.hpp>
#include <parley/awaitable.hpp>
#include <parley/borrowed_frame.hpp>
#include <parley/chunks.hpp>
#include <parley/codec.hpp>
#include <parley/curve.hpp>
#include <parley/monitor.hpp>
#include <parley/pipe/mpsc_pipe.hpp>
#include <parley/pipe/spsc_pipe.hpp>
#include <parley/pipeline.hpp>
#include <parley/poller.hpp>
#include <parley/proxy.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>
#include <parley/source_service.hpp>
#include <parley/task_archive.hpp>
#include <parley/zmq_frame.hpp>

#include <type_traits>

#include "support/catch.hpp"

TEST_CASE("all headers of lib and patterns may be included together") {
  STATIC_REQUIRE_FALSE(std::is_same_v<parley::task, parley::coroutine>);
}
