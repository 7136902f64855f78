// SPDX-License-Identifier: MPL-2.0
#include "reply_rules.hpp"

#include <regex.h>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace {

// Longer requests fit no regular expression: the time that it takes grows with the square of them.
constexpr std::size_t longest_for_regex = 8 * 1024;

constexpr std::size_t most_groups = 10;  // \0 to \9

// POSIX's: its time does not grow with the number of ways to match.
class regex {
 public:
  explicit regex(const json_line& line) {
    const int failure = ::regcomp(&compiled_, line.text("regex").c_str(), REG_EXTENDED);
    if (failure != 0) {
      std::array<char, 256> reason{};
      ::regerror(failure, &compiled_, reason.data(), reason.size());
      line.fail("regex", reason.data());
    }
  }
  regex(const regex&) = delete;
  regex& operator=(const regex&) = delete;
  ~regex() { ::regfree(&compiled_); }

  [[nodiscard]] std::size_t groups() const noexcept { return compiled_.re_nsub; }

  // The whole that fits, and the groups in it; those that had no part in it are empty.
  using found = std::array<std::string_view, most_groups>;
  [[nodiscard]] std::optional<found> search(std::string_view text) const {
    std::array<regmatch_t, most_groups> places{};
    places[0].rm_eo = static_cast<regoff_t>(text.size());
    if (text.size() > longest_for_regex ||
        ::regexec(&compiled_, text.data(), places.size(), places.data(), REG_STARTEND) != 0) {
      return std::nullopt;
    }
    found parts;
    for (std::size_t group = 0; group < most_groups; ++group) {
      if (places[group].rm_so >= 0) {
        parts[group] = text.substr(static_cast<std::size_t>(places[group].rm_so),
                                   static_cast<std::size_t>(places[group].rm_eo) -
                                       static_cast<std::size_t>(places[group].rm_so));
      }
    }
    return parts;
  }

 private:
  regex_t compiled_{};
};

// A reply with \0 to \9 in it.
class reply_template {
 public:
  // Throws config_error.
  reply_template(const json_line& line, std::size_t groups) {
    const std::string text = line.text("reply");
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '\\') {
        add(text[at]);
        continue;
      }
      const char next = ++at < text.size() ? text[at] : '\0';
      if (next == '\\') {
        add(next);
      } else if (next < '0' || next > '9') {
        line.fail("reply", "in the reply to a regex, \\ stands before a digit or another \\");
      } else if (const auto group = static_cast<std::size_t>(next - '0'); group > groups) {
        line.fail("reply", std::string{"the regex has no group \\"} + next);
      } else {
        parts_.push_back({{}, group});
      }
    }
  }

  [[nodiscard]] std::string fill(const regex::found& found) const {
    std::string filled;
    for (const auto& [text, group] : parts_) {
      filled += group ? found[*group] : std::string_view{text};
    }
    return filled;
  }

 private:
  void add(char next) {
    if (parts_.empty() || parts_.back().group) {
      parts_.emplace_back();
    }
    parts_.back().text += next;
  }

  struct part {
    std::string text;
    std::optional<std::size_t> group;
  };
  std::vector<part> parts_;
};

}  // namespace

reply_rules::reply_rules(const std::string& path) {
  for (const json_line& line : read_json_lines(path)) {
    rules_.push_back(make(line));
  }
}

std::optional<std::string> reply_rules::reply_to(std::string_view request) const {
  for (const rule& each : rules_) {
    if (auto reply = each(request)) {
      return reply;
    }
  }
  return std::nullopt;
}

reply_rules::rule reply_rules::make(const json_line& line) {
  line.refuse_others({"text", "prefix", "regex", "reply"});
  const std::string kind = line.one_of({"text", "prefix", "regex"});
  if (kind == "regex") {
    return make_regex(line);
  }
  return [wanted = line.text(kind), is_prefix = kind == "prefix",
          reply = line.text("reply")](std::string_view request) -> std::optional<std::string> {
    if (is_prefix ? request.starts_with(wanted) : request == wanted) {
      return reply;
    }
    return std::nullopt;
  };
}

reply_rules::rule reply_rules::make_regex(const json_line& line) {
  const auto pattern = std::make_shared<const regex>(line);
  return [pattern, reply = reply_template{line, pattern->groups()}](
             std::string_view request) -> std::optional<std::string> {
    const auto found = pattern->search(request);
    return found ? std::optional{reply.fill(*found)} : std::nullopt;
  };
}
