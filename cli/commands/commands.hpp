// SPDX-License-Identifier: MPL-2.0
//
// The commands. Each adds its words to its command line and returns what to run once they are
// parsed. What an action throws, main turns into a sentence and an exit code.
#pragma once

#include "exit_code.hpp"
#include "runtime.hpp"

#include <functional>

#include <CLI/CLI.hpp>

using action = std::function<exit_code(runtime&)>;

action add_pub(CLI::App& command);
action add_sub(CLI::App& command);
action add_forward(CLI::App& command);
action add_req(CLI::App& command);
action add_rep(CLI::App& command);
action add_call(CLI::App& command);
action add_serve(CLI::App& command);
action add_push(CLI::App& command);
action add_pull(CLI::App& command);
action add_work(CLI::App& command);
action add_queue(CLI::App& command);
action add_peers(CLI::App& command);
action add_doctor(CLI::App& command);
action add_chat(CLI::App& command);
action add_gateway(CLI::App& command);
action add_keygen(CLI::App& command);
action add_version(CLI::App& command);
