// SPDX-License-Identifier: MPL-2.0
#include "doctor/firewall_text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <string>

namespace {

using parley::firewall_rule;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    words.push_back(word);
  }
  return words;
}

std::string word_after(const std::vector<std::string>& words, std::string_view which) {
  const auto found = std::ranges::find(words, which);
  return found == words.end() || std::next(found) == words.end() ? std::string{}
                                                                 : *std::next(found);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc{} ? std::optional{value} : std::nullopt;
}

bool has(const std::vector<std::string>& words, std::string_view which) {
  return std::ranges::find(words, which) != words.end();
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& each : words) {
    text += (text.empty() ? "" : " ") + each;
  }
  return text;
}

// Without what its counter says, which is another each time.
std::string without_counter(std::vector<std::string> words) {
  if (const auto found = std::ranges::find(words, "counter");
      found != words.end() && words.end() - found >= 5) {
    words.erase(found, found + 5);
  }
  return joined(words);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char each) { return static_cast<char>(std::tolower(each)); });
  return text;
}

}  // namespace

std::vector<firewall_rule> read_nft(std::string_view text) {
  std::vector<firewall_rule> rules;
  std::istringstream in{std::string{text}};
  std::string table;
  std::string chain;
  std::string hook;
  const auto add = [&](std::string what, std::optional<std::uint64_t> count) {
    rules.push_back({hook, std::move(what), "nft insert rule " + table + ' ' + chain, count});
  };
  for (std::string line; std::getline(in, line);) {
    const auto words = words_of(line);
    if (words.size() >= 3 && words[0] == "table") {
      table = joined({words[1], words[2]});
    } else if (words.size() >= 2 && words[0] == "chain") {
      chain = words[1];
      hook.clear();
    } else if (has(words, "hook")) {
      hook = word_after(words, "hook");
      if (word_after(words, "policy") == "drop;") {
        add(joined({"policy drop of chain", chain, "in table", table}), std::nullopt);
      }
    } else if (has(words, "drop") || has(words, "reject")) {
      add(without_counter(words), number(word_after(words, "packets")));
    }
  }
  // Others than these two do not stand between programs and the network.
  std::erase_if(rules, [](const firewall_rule& each) {
    return !each.hook.empty() && each.hook != "input" && each.hook != "output";
  });
  return rules;
}

std::vector<firewall_rule> read_iptables(std::string_view text) {
  std::vector<firewall_rule> rules;
  std::istringstream in{std::string{text}};
  const auto hook_of = [](const std::string& chain) {
    return chain == "INPUT" || chain == "OUTPUT" ? lower(chain) : std::string{};
  };
  for (std::string line; std::getline(in, line);) {
    auto words = words_of(line);
    // :INPUT DROP [7:350]
    if (words.size() >= 3 && words[0].starts_with(':') && words[1] == "DROP" &&
        !hook_of(words[0].substr(1)).empty()) {
      const std::string chain = words[0].substr(1);
      rules.push_back({hook_of(chain), "policy DROP of " + chain, "iptables -I " + chain,
                       number(std::string_view{words[2]}.substr(1)), true});
    }
    // [7:350] -A INPUT -p udp -m udp --dport 5670 -j DROP
    const std::string target = word_after(words, "-j");
    if (words.size() >= 3 && words[0].starts_with('[') && words[1] == "-A" &&
        (target == "DROP" || target == "REJECT")) {
      const auto dropped = number(std::string_view{words[0]}.substr(1));
      const std::string chain = words[2];
      words.erase(words.begin());
      rules.push_back({hook_of(chain), joined(words), "iptables -I " + chain, dropped, true});
    }
  }
  return rules;
}

std::vector<firewall_rule> dropped_between(const std::vector<firewall_rule>& before,
                                           std::vector<firewall_rule> after) {
  for (firewall_rule& each : after) {
    const auto same = std::ranges::find_if(before, [&](const firewall_rule& old) {
      return old.rule == each.rule && old.insert == each.insert && old.dropped.has_value();
    });
    if (each.dropped && same != before.end()) {
      *each.dropped -= std::min(*each.dropped, *same->dropped);
    }
  }
  return after;
}
