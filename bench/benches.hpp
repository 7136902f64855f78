// SPDX-License-Identifier: MPL-2.0
//
// Each benchmark file's cases. A new file adds its function here and its line in main.cpp.
#pragma once

#include "harness.hpp"

namespace parley::bench {

std::vector<bench_case> costs();
std::vector<bench_case> durable_pipeline();  // more of pipeline
std::vector<bench_case> pipe_sockets();
std::vector<bench_case> peers_file_transfer();  // of peers
std::vector<bench_case> peers_together();
std::vector<bench_case> pipeline();
std::vector<bench_case> pipes();
std::vector<bench_case> pub_sub();
std::vector<bench_case> request_reply();
std::vector<bench_case> sockets();
std::vector<bench_case> gateway();

}  // namespace parley::bench
