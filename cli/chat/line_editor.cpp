// SPDX-License-Identifier: MPL-2.0
#include "chat/line_editor.hpp"

#include "chat/line_rows.hpp"
#include "chat/visible_text.hpp"

#include <parley/error.hpp>

#include <histedit.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cwchar>
#include <cwctype>
#include <utility>

namespace {

constexpr int remembered_lines = 1000;
constexpr std::size_t most_listed = 50;
constexpr std::size_t usual_columns = 80;
constexpr std::size_t usual_rows = 24;

struct screen_size {
  std::size_t rows;
  std::size_t columns;
};

screen_size size_of_screen() {
  winsize size{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  return {size.ws_row > 0 ? size.ws_row : usual_rows,
          size.ws_col > 0 ? size.ws_col : usual_columns};
}

// As libedit shows what was typed or pasted and has no glyph.
std::wstring as_shown(std::wstring_view typed) {
  std::wstring shown;
  for (const wchar_t each : typed) {
    if (each < 0x20 || each == 0x7F) {
      shown += L"^X";
    } else if (std::iswprint(static_cast<std::wint_t>(each)) != 0) {
      shown += each;
    } else {
      shown.append(each > 0xFFFF ? 8 : 7, L'x');
    }
  }
  return shown;
}

// To the first column, so many rows up; everything from there on is gone.
std::string wipe(std::size_t rows_up) {
  rows_up = std::min(rows_up, size_of_screen().rows - 1);
  return (rows_up > 0 ? "\x1b[" + std::to_string(rows_up) + "A" : "") + "\r\x1b[J";
}

}  // namespace

struct line_editor::state {
  hooks use;
  EditLine* edit = nullptr;
  HistoryW* history = nullptr;
  std::wstring prompt{};
  std::string status{};
  std::size_t status_columns = 0;  // as it stands above what is edited; 0: it does not
  bool is_editing = false;

  explicit state(hooks given) : use{std::move(given)} {}
  ~state() {
    if (history != nullptr) {
      ::history_wend(history);
    }
    if (edit != nullptr) {
      ::el_end(edit);
    }
  }

  static state& of(EditLine* edit) {
    void* found = nullptr;
    ::el_wget(edit, EL_CLIENTDATA, &found);
    return *static_cast<state*>(found);
  }

  static wchar_t* give_prompt(EditLine* edit) { return of(edit).prompt.data(); }

  // 1: a character; 0: it is over.
  static int read_key(EditLine* edit, wchar_t* key) {
    state& self = of(edit);
    std::mbstate_t part{};
    for (;;) {
      char byte = 0;
      if (!self.use.wait_for_key() || ::read(STDIN_FILENO, &byte, 1) != 1) {
        return 0;
      }
      const std::size_t size = std::mbrtowc(key, &byte, 1, &part);
      if (size == static_cast<std::size_t>(-1)) {
        part = {};  // no UTF-8: not typed
      } else if (size != static_cast<std::size_t>(-2)) {
        break;
      }
    }
    const bool ends_line = *key == L'\r' || *key == L'\n';
    return !ends_line || self.use.wait_for_turn() ? 1 : 0;
  }

  static unsigned char complete(EditLine* edit, wint_t) {
    state& self = of(edit);
    const LineInfoW* const line = ::el_wline(edit);
    const std::wstring_view before{line->buffer,
                                   static_cast<std::size_t>(line->cursor - line->buffer)};
    const chat_completion found = self.use.complete(to_utf8(before));
    if (found.words.empty()) {
      return CC_ERROR;
    }
    const bool is_one = found.words.size() == 1;
    const std::string whole = found.common() + (is_one ? found.behind : "");
    if (whole != found.begun) {
      ::el_deletestr(edit, static_cast<int>(to_wide(found.begun).size()));
      ::el_winsertstr(edit, to_wide(whole).c_str());
    }
    if (is_one || found.common().size() > found.begun.size()) {
      return CC_REFRESH;
    }
    self.print({listed(found.words)});
    return CC_NORM;
  }

  static std::string listed(const std::vector<std::string>& words) {
    std::string all;
    for (std::size_t at = 0; at < words.size(); ++at) {
      if (at == most_listed) {
        return all + "  …";
      }
      all += (all.empty() ? "" : "  ") + visible(words[at]);
    }
    return all;
  }

  // How far down the cursor is in what is edited.
  [[nodiscard]] std::size_t row_of_cursor() const {
    const LineInfoW* const line = ::el_wline(edit);
    return rows_of({line->buffer, static_cast<std::size_t>(line->cursor - line->buffer)});
  }
  [[nodiscard]] std::size_t rows_of(std::wstring_view typed) const {
    const std::size_t columns = size_of_screen().columns;
    screen_place place;
    place.pass(prompt, columns);
    place.pass(as_shown(typed), columns);
    return place.row;
  }

  static void put(std::string_view bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
  }

  // Rows above what is edited that go with it. The terminal may be narrower than it was.
  [[nodiscard]] std::size_t status_rows() const {
    const std::size_t columns = size_of_screen().columns;
    return (status_columns + columns - 1) / columns;
  }
  [[nodiscard]] std::string status_line() {
    const std::size_t room = size_of_screen().columns - 1;
    const std::string shown = status.empty() ? "" : visible(status, room);
    status_columns = columns(shown);
    return shown.empty() ? "" : shown + "\r\n";
  }

  void print(const std::vector<std::string>& lines) {
    std::string block = is_editing ? wipe(row_of_cursor() + status_rows()) : "";
    for (const std::string& each : lines) {
      block += each + "\r\n";
    }
    put(is_editing ? block + status_line() : block);
    if (is_editing) {
      // What is said may change the prompt; not here, where the line is amid.
      ::el_wset(edit, EL_REFRESH);
    }
  }
};

line_editor::line_editor(hooks use) : state_{std::make_unique<state>(std::move(use))} {
  state& self = *state_;
  self.edit = ::el_init("parley", stdin, stdout, stderr);
  self.history = ::history_winit();
  if (self.edit == nullptr || self.history == nullptr) {
    throw parley::error{parley::errc::out_of_resources, "edit lines"};
  }
  HistEventW event{};
  ::history_w(self.history, &event, H_SETSIZE, remembered_lines);
  ::history_w(self.history, &event, H_SETUNIQUE, 1);
  ::el_wset(self.edit, EL_CLIENTDATA, &self);
  ::el_wset(self.edit, EL_PROMPT, &state::give_prompt);
  ::el_wset(self.edit, EL_EDITOR, L"emacs");
  ::el_wset(self.edit, EL_HIST, &::history_w, self.history);
  ::el_wset(self.edit, EL_GETCFN, &state::read_key);
  ::el_wset(self.edit, EL_ADDFN, L"chat-complete", L"complete a name", &state::complete);
  ::el_source(self.edit, nullptr);
  ::el_wset(self.edit, EL_BIND, L"^I", L"chat-complete", nullptr);
  // Between two lines, too: what is typed or pasted then is neither shown nor lost.
  ::el_set(self.edit, EL_SETTY, "-x", "-echo", "-icanon", nullptr);
}

line_editor::~line_editor() = default;

std::optional<std::string> line_editor::next() {
  state& self = *state_;
  self.prompt = to_wide(self.use.prompt());
  self.is_editing = true;
  state::put(self.status_line());
  int size = 0;
  const wchar_t* const typed = ::el_wgets(self.edit, &size);
  self.is_editing = false;
  if (typed == nullptr || size <= 0) {
    state::put(wipe(self.status_rows()));
    return std::nullopt;
  }
  std::wstring line{typed, static_cast<std::size_t>(size)};
  while (!line.empty() && (line.back() == L'\n' || line.back() == L'\r')) {
    line.pop_back();
  }
  state::put(wipe(self.rows_of(line) + 1 + self.status_rows()));
  if (!line.empty()) {
    HistEventW event{};
    ::history_w(self.history, &event, H_ENTER, line.c_str());
  }
  return to_utf8(line);
}

void line_editor::print(const std::vector<std::string>& lines) { state_->print(lines); }

void line_editor::show_status(const std::string& status) {
  state_->status = status;
  if (state_->is_editing) {
    state_->print({});
  }
}

void line_editor::refresh() {
  state& self = *state_;
  ::el_set(self.edit, EL_PREP_TERM, 0);
  ::el_set(self.edit, EL_PREP_TERM, 1);
  const std::string wiped = self.is_editing ? wipe(self.row_of_cursor() + self.status_rows()) : "";
  ::el_resize(self.edit);
  if (self.is_editing) {
    state::put(wiped + self.status_line());
    ::el_wset(self.edit, EL_REFRESH);
  }
}
