// SPDX-License-Identifier: MPL-2.0
//
// A result on its way to a sink is a task whose body is [source, number, result]: 8, 8 and the
// other octets, numbers in network order.
#pragma once

#include <parley/frame.hpp>
#include <parley/sink.hpp>

#include <optional>

namespace parley::detail {

[[nodiscard]] frame pack_result_of_task(const task_id& id, const frame& result);
// Nothing: it is none.
[[nodiscard]] std::optional<task_result> unpack_result_of_task(const frame& body);

}  // namespace parley::detail
