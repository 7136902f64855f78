// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_people.hpp"

#include "chat/visible_text.hpp"

#include <algorithm>
#include <cwctype>
#include <utility>

namespace {

constexpr std::size_t longest_label = 32;  // columns
constexpr std::size_t shortest_mark = 4;   // digits of an id

// As many digits as tell this one from the others.
std::size_t digits_needed(const parley::peer_id& who, const std::set<parley::peer_id>& among) {
  const std::string digits = who.str();
  std::size_t needed = shortest_mark;
  for (const parley::peer_id& other : among) {
    if (other != who) {
      const std::string others = other.str();
      const auto differs = std::ranges::mismatch(digits, others).in1 - digits.begin();
      needed = std::max(needed, static_cast<std::size_t>(differs) + 1);
    }
  }
  return std::min(needed, digits.size());
}

}  // namespace

chat_people::chat_people(const parley::peer_id& own, std::string_view own_name)
    : own_{own}, own_label_{plain_label(own_name)} {
  by_label_[folded(own_label_)].insert(own_);
}

std::string chat_people::plain_label(std::string_view name) {
  std::wstring label = to_wide(visible(name, longest_label));
  for (wchar_t& each : label) {
    if (each == L'~' || std::iswspace(static_cast<std::wint_t>(each)) != 0) {
      each = L'_';
    }
  }
  return label.empty() ? "_" : to_utf8(label);
}

chat_person& chat_people::add(chat_person who) {
  remove(who.id);
  by_label_[folded(plain_label(who.name))].insert(who.id);
  const parley::peer_id id = who.id;
  return people_.insert_or_assign(id, std::move(who)).first->second;
}

void chat_people::remove(const parley::peer_id& who) {
  const auto found = people_.find(who);
  if (found == people_.end()) {
    return;
  }
  const auto same = by_label_.find(folded(plain_label(found->second.name)));
  same->second.erase(who);
  if (same->second.empty()) {
    by_label_.erase(same);
  }
  people_.erase(found);
}

chat_person* chat_people::find(const parley::peer_id& who) {
  const auto found = people_.find(who);
  return found == people_.end() ? nullptr : &found->second;
}

std::string chat_people::label(const parley::peer_id& who) const {
  const auto found = people_.find(who);
  if (found == people_.end() && who != own_) {
    return "somebody";
  }
  const std::string label = found == people_.end() ? own_label_ : plain_label(found->second.name);
  const auto& same = by_label_.at(folded(label));
  return same.size() == 1 ? label : label + '~' + who.str().substr(0, digits_needed(who, same));
}

std::vector<parley::peer_id> chat_people::called(std::string_view label) const {
  const std::string_view mark = label.substr(std::min(label.find('~'), label.size()));
  const auto same = by_label_.find(folded(label.substr(0, label.size() - mark.size())));
  std::vector<parley::peer_id> all;
  if (same == by_label_.end()) {
    return all;
  }
  for (const parley::peer_id& each : same->second) {
    const bool is_meant = mark.empty() || folded(each.str()).starts_with(folded(mark.substr(1)));
    if (is_meant && each != own_) {
      all.push_back(each);
    }
  }
  return all;
}
