// SPDX-License-Identifier: MPL-2.0
//
// Who is here, and what they are called. Names are chosen by others: what is shown and typed is a
// label, which is one word, and nobody else's. Not thread-safe.
#pragma once

#include <parley/peer_id.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

struct chat_person {
  parley::peer_id id{};
  std::string name{};  // as it was sent
  std::string address{};
  std::string identity{};  // whom letters are for; empty: another one each time
  bool has_chat = false;   // understands marks
  bool is_parley = false;  // is told by parley::peers that he is muted
  std::set<std::string, std::less<>> rooms{};
  std::optional<std::string> away{};  // the note
};

// Somebody who was met before.
struct chat_contact {
  std::string identity;
  std::string name;
};

class chat_people {
 public:
  // Ourselves are among those whose names are not to be mistaken, and not among people.
  chat_people(const parley::peer_id& own, std::string_view own_name);

  chat_person& add(chat_person who);
  void remove(const parley::peer_id& who);
  [[nodiscard]] chat_person* find(const parley::peer_id& who);
  [[nodiscard]] const std::map<parley::peer_id, chat_person>& all() const noexcept {
    return people_;
  }

  // The name in one word without ~; as long as others here have the same, with ~ and as much of the
  // id as tells them apart. "somebody" of who is not here.
  [[nodiscard]] std::string label(const parley::peer_id& who) const;
  // What he is called alone.
  [[nodiscard]] static std::string plain_label(std::string_view name);

  // All whom that may mean: the label, or its beginning up to anything behind the ~. Capitals do
  // not matter.
  [[nodiscard]] std::vector<parley::peer_id> called(std::string_view label) const;

 private:
  std::map<parley::peer_id, chat_person> people_;
  std::map<std::string, std::set<parley::peer_id>> by_label_;  // plain, folded; with ourselves
  parley::peer_id own_;
  std::string own_label_;
};
