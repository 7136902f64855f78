// SPDX-License-Identifier: MPL-2.0
//
// Pipeline: sources deal tasks out to workers, each to one of them, and none gets lost.
//
// A source keeps each task until a worker says that it is done. One that fails, or whose worker
// dies, goes to another worker, and after too many attempts to the dead letters. So a task is done
// at least once while its source lives, and with a journal also when source, worker or both are
// killed. Plain ZeroMQ PUSH and PULL sockets may take either end, without all this. See
// docs/pipeline.md; docs/wire.md has the frames.
#pragma once

#include <parley/sink.hpp>
#include <parley/source.hpp>
#include <parley/task.hpp>
#include <parley/worker.hpp>
