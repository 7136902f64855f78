// SPDX-License-Identifier: MPL-2.0
#include <parley/done_transaction.hpp>

#include "done_journal.hpp"

#include <stdexcept>

namespace parley {

done_transaction::~done_transaction() = default;

database& done_transaction::file() {
  if (!is_noted_) {
    if (!was_done_before_) {
      begin();
    }
    if (was_done_before_) {
      throw std::runtime_error{"the task was done before"};
    }
  }
  return *file_;
}

void done_transaction::begin() {
  if (!turn_) {
    turn_ = notes_.await_turn();
  }
  file_ = &notes_.shared_file();
  all_.emplace(*file_);
  is_noted_ = which_.source == 0 || notes_.note(which_);
  if (!is_noted_) {
    was_done_before_ = true;
    all_.reset();
    turn_.unlock();
  }
}

void done_transaction::commit() {
  static_cast<void>(file());
  all_->commit();
  all_.reset();
  turn_.unlock();
}

}  // namespace parley
