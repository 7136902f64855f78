// SPDX-License-Identifier: MPL-2.0
//
// The queues by their names.
#include "stomp/router.hpp"

#include <memory>
#include <utility>

namespace parley::stomp {

router::named_queue* router::find_queue(std::string_view name) {
  const auto known = queues_.find(name);
  return known == queues_.end() ? nullptr : known->second.get();
}

// Who makes one pushes to it, subscribes or waits; run() removes it when it is of no use.
router::named_queue* router::find_or_make_queue(std::string_view name) {
  if (named_queue* const known = find_queue(name)) return known;
  if (queues_.size() >= limits_.queue_count) return nullptr;
  return &make_queue(name);
}

router::named_queue& router::make_queue(std::string_view name) {
  auto made = std::make_unique<named_queue>(limits_.queues, name);
  named_queue& result = *made;
  queues_.emplace(std::string{name}, std::move(made));
  touch(result);
  return result;
}

router::temp_queue* router::find_or_make_temp(client& of, std::string_view name) {
  if (const auto known = of.temp_queues_.find(name); known != of.temp_queues_.end()) {
    return &known->second;
  }
  if (of.temp_queues_.size() >= limits_.temp_queues) return nullptr;
  temp_queue made;
  made.messages =
      std::make_unique<named_queue>(limits_.queues, std::string{temp_word}.append(name));
  made.messages->kept = true;
  return &of.temp_queues_.emplace(std::string{name}, std::move(made)).first->second;
}

router::named_queue* router::find_reply_queue(std::string_view name, client** owner) {
  const auto asker = by_token_.find(name.substr(0, name.find('/')));
  if (asker == by_token_.end() || name.find('/') == std::string_view::npos) return nullptr;
  // Others cannot make queues here: only what the asker named is there.
  const auto known = asker->second->temp_queues_.find(name.substr(name.find('/') + 1));
  if (known == asker->second->temp_queues_.end()) return nullptr;
  if (owner != nullptr) *owner = asker->second;
  return known->second.messages.get();
}

}  // namespace parley::stomp
