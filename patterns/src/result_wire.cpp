// SPDX-License-Identifier: MPL-2.0
#include "result_wire.hpp"

#include "network_order.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace parley::detail {
namespace {

constexpr std::size_t head = 2 * sizeof(std::uint64_t);

}  // namespace

frame pack_result_of_task(const task_id& id, const frame& result) {
  std::string bytes(head + result.size(), '\0');
  char* const body = put_number(put_number(bytes.data(), id.source), id.number);
  std::memcpy(body, result.data(), result.size());
  return frame{bytes};
}

std::optional<task_result> unpack_result_of_task(const frame& body) {
  const std::string_view bytes = body.view();
  if (bytes.size() < head) {
    return std::nullopt;
  }
  task_result result;
  result.id.source = number_at<std::uint64_t>(bytes.data());
  result.id.number = number_at<std::uint64_t>(bytes.data() + sizeof(std::uint64_t));
  result.body = frame{bytes.substr(head)};
  return result;
}

}  // namespace parley::detail
