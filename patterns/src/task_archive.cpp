// SPDX-License-Identifier: MPL-2.0
#include <parley/task_archive.hpp>

#include <parley/error.hpp>

#include "task_journal.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace parley {
namespace {

using detail::task_draft;
using detail::task_journal;

task_journal::on_task as_waiting(std::uint64_t source, const task_archive::on_task& each) {
  return [source, &each](task_draft&& draft) {
    each({.id = {source, draft.number},
          .is_dead = false,
          .body = std::move(draft.body),
          .options = draft.options ? std::move(*draft.options) : task_options{},
          .attempts = draft.attempts,
          .why = {}});
  };
}

task_journal::on_dead as_dead(const task_archive::on_task& each) {
  return [&each](dead_letter&& letter) {
    each({.id = letter.id,
          .is_dead = true,
          .body = std::move(letter.body),
          .options = std::move(letter.options),
          .attempts = letter.attempts,
          .why = std::move(letter.why)});
  };
}

const std::filesystem::path& there(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::exists(file, failure)) {
    throw error{errc::cannot_read,
                file.string() + " (" + std::generic_category().message(ENOENT) + ")"};
  }
  return file;
}

}  // namespace

task_archive::task_archive(const std::filesystem::path& file)
    : file_{std::make_unique<task_journal>(there(file), durability::power_cut)} {}

task_archive::task_archive(task_archive&&) noexcept = default;
task_archive& task_archive::operator=(task_archive&&) noexcept = default;
task_archive::~task_archive() = default;

void task_archive::read(const on_task& each) {
  file_->load(as_waiting(file_->id(), each), as_dead(each));
}

std::optional<archived_task> task_archive::find(std::uint64_t number) {
  std::optional<archived_task> found;
  const on_task keep = [&](archived_task&& it) { found = std::move(it); };
  file_->find(number, as_waiting(file_->id(), keep), as_dead(keep));
  return found;
}

bool task_archive::retry(std::uint64_t number) {
  auto found = find(number);
  if (!found || !found->is_dead) {
    return false;
  }
  task_draft draft;
  draft.number = number;
  draft.body = std::move(found->body);
  draft.options = std::make_unique<task_options>(std::move(found->options));
  draft.options->delay = draft.options->deadline = std::chrono::milliseconds{0};
  draft.pushed = std::chrono::steady_clock::now();
  file_->write(std::array{std::move(draft)}, {});
  return true;
}

bool task_archive::drop(std::uint64_t number) {
  const auto found = find(number);
  if (!found || !found->is_dead) {
    return false;
  }
  file_->write({}, std::array{detail::journal_change{.what = detail::task_news::kind::ended,
                                                     .number = number}});
  return true;
}

task_archive::salvaged task_archive::salvage(const std::filesystem::path& file,
                                             const on_task& each) {
  const auto all = task_journal::salvage(file, as_waiting(0, each), as_dead(each));
  return {.written = all.written, .read = all.read};
}

}  // namespace parley
