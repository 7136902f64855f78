// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "chat/chat_session.hpp"
#include "chat/file_completion.hpp"
#include "chat/line_input.hpp"
#include "chat/visible_text.hpp"
#include "commands.hpp"
#include "curve.hpp"
#ifdef PARLEY_WITH_LIBEDIT
#include "chat/line_editor.hpp"
#endif

#include <parley/error.hpp>

#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;

struct chat_args {
  std::string name;
  network_arg network;
  curve_arg curve;
  std::string room = "lobby";
  std::string history;
  bool no_history = false;
  std::string downloads;
  bool accept = false;
  std::optional<std::uint64_t> accept_bytes;
  bool plain = false;
  bool json = false;
  std::optional<std::size_t> wait;
  count_arg count;
  timeout_arg timeout;
};

bool is_set(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool is_dumb_terminal() {
  return !is_set("TERM") || std::string_view{std::getenv("TERM")} == "dumb";
}

std::string name_of_account() {
  const passwd* const account = ::getpwuid(::geteuid());
  return account != nullptr ? account->pw_name : "";
}

// Somebody may have to be asked first whether he takes it.
constexpr double usual_files_seconds = 300;

// Waits for what a chat waits for. Not thread-safe.
class chat_loop {
 public:
  chat_loop(runtime& run, chat_session& session) : run_{run}, session_{session} {
    sigset_t of_terminal;
    sigemptyset(&of_terminal);
    sigaddset(&of_terminal, SIGWINCH);
    sigaddset(&of_terminal, SIGCONT);
    terminal_fd_ = ::signalfd(-1, &of_terminal, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~chat_loop() { ::close(terminal_fd_); }
  chat_loop(const chat_loop&) = delete;
  chat_loop& operator=(const chat_loop&) = delete;

  enum class woken { input, heard, terminal, late, over };

  // Hears what there is, and returns: stdin is readable, if that is wanted; something was heard, or
  // it is time to look again; the terminal has changed; the deadline passed; it is over.
  woken wait(bool wants_input, time_point deadline = time_point::max()) {
    const time_point until = std::min(session_.hear(), deadline);
    if (session_.is_over()) {
      return woken::over;
    }
    std::array<pollfd, 4> waited{{{run_.stop_fd(), POLLIN, 0},
                                  {session_.fd(), POLLIN, 0},
                                  {terminal_fd_, POLLIN, 0},
                                  {wants_input ? STDIN_FILENO : -1, POLLIN, 0}}};
    const int found = ::poll(waited.data(), waited.size(), milliseconds_to(until));
    if (found <= 0) {
      return clock::now() >= deadline ? woken::late : woken::heard;
    }
    if (waited[0].revents != 0) {
      return woken::over;
    }
    if (waited[2].revents != 0) {
      signalfd_siginfo info{};
      while (::read(terminal_fd_, &info, sizeof info) == sizeof info) {
      }
      return woken::terminal;
    }
    return waited[3].revents != 0 ? woken::input : woken::heard;
  }

 private:
  static int milliseconds_to(time_point until) {
    if (until == time_point::max()) {
      return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, std::numeric_limits<int>::max()));
  }

  runtime& run_;
  chat_session& session_;
  int terminal_fd_;
};

// Lines in, lines out.
exit_code talk_in_lines(runtime& run, chat_session& session, const chat_args& args,
                        std::size_t wanted) {
  chat_loop loop{run, session};
  line_input input;
  const auto too_late = [](const std::string& what, const timeout_arg& within) {
    say("parley: " + what + " within " + within.str());
    return exit_code::timed_out;
  };
  const auto begun = clock::now();
  const auto deadline_from = [](time_point from, const timeout_arg& within) {
    return within.get() == timeout_arg::duration::max() ? time_point::max() : from + within.get();
  };
  while (session.count_came() < wanted) {
    const auto woken = loop.wait(false, deadline_from(begun, args.timeout));
    if (woken == chat_loop::woken::over) {
      return run.stopped_code();
    }
    if (woken == chat_loop::woken::late) {
      return too_late("fewer than " + std::to_string(wanted) + " were in " + args.room,
                      args.timeout);
    }
  }
  // Whoever offers a file at the end of its input is not to wait for ever.
  timeout_arg files_timeout = args.timeout;
  files_timeout.set_usual(usual_files_seconds);
  auto last_line = clock::now();
  auto last_move = last_line;
  std::uint64_t moves = 0;
  for (;;) {
    if (session.is_over() || (args.count && session.lines_heard() >= *args.count)) {
      return exit_code::done;
    }
    const auto now = clock::now();
    const auto next_line = session.desk().next_line(now);
    const bool may_type = next_line <= now;
    if (may_type && input.has_line()) {
      session.type(*input.next());
      continue;
    }
    if (input.is_at_end() && !input.has_line() && !args.count &&
        !session.desk().files().is_busy()) {
      return exit_code::done;
    }
    if (const auto moves_now = session.desk().files().moves(); moves_now != moves) {
      moves = moves_now;
      last_move = now;
    }
    const bool wants_input = !input.has_line() && !input.is_at_end();
    const bool waits_for_files = !args.count && !input.has_line() && input.is_at_end();
    const auto deadline = args.count        ? deadline_from(last_line, args.timeout)
                          : waits_for_files ? deadline_from(last_move, files_timeout)
                                            : time_point::max();
    const auto heard_before = session.lines_heard();
    switch (loop.wait(wants_input, input.has_line() ? std::min(next_line, deadline) : deadline)) {
      case chat_loop::woken::input:
        input.read();
        break;
      case chat_loop::woken::over:
        return session.is_over() ? exit_code::done : run.stopped_code();
      case chat_loop::woken::late:
        if (clock::now() >= deadline) {
          return waits_for_files
                     ? too_late("nothing was heard of " + session.desk().files().awaited(),
                                files_timeout)
                     : too_late("nobody said anything", args.timeout);
        }
        break;
      default:
        break;
    }
    if (session.lines_heard() != heard_before) {
      last_line = clock::now();
    }
  }
}

#ifdef PARLEY_WITH_LIBEDIT
exit_code talk_at_terminal(runtime& run, chat_session& session, const chat_args& args) {
  chat_loop loop{run, session};
  line_editor* screen = nullptr;
  const auto wait = [&](bool wants_input, time_point until) {
    for (;;) {
      switch (loop.wait(wants_input, until)) {
        case chat_loop::woken::terminal:
          screen->refresh();
          break;
        case chat_loop::woken::over:
          return false;
        case chat_loop::woken::input:
        case chat_loop::woken::late:
          return true;
        case chat_loop::woken::heard:
          break;
      }
    }
  };
  line_editor editor{
      {.wait_for_key = [&] { return wait(true, time_point::max()); },
       .wait_for_turn =
           [&] {
             const auto next = session.desk().next_line(clock::now());
             if (next <= clock::now()) {
               return true;
             }
             session.tell(
                 {.what = chat_event::kind::notice,
                  .text =
                      "that was much at once; the rest goes out in " +
                      std::to_string(
                          std::chrono::ceil<std::chrono::seconds>(next - clock::now()).count()) +
                      " s"});
             return wait(false, next);
           },
       .prompt = [&] { return chat_view{}.prompt(session.desk().room()); },
       .complete = [&](std::string_view typed) { return complete_chat(typed, session.desk()); }}};
  screen = &editor;
  session.show_at([&](const std::vector<std::string>& lines) { editor.print(lines); });
  session.show_status_at([&](const std::string& status) { editor.show_status(status); });
  session.look_back(args.room);
  session.begin(args.room);
  while (const auto line = editor.next()) {
    session.type(*line);
    if (session.is_over()) {
      break;
    }
  }
  session.show_at([](const std::vector<std::string>&) {});
  session.show_status_at({});
  return exit_code::done;
}
#endif

// Null: none; why_not says why, if it should be there.
std::unique_ptr<chat_history> opened_history(const chat_args& args, bool is_at_terminal,
                                             std::string& why_not) {
  if (args.no_history || (!is_at_terminal && args.history.empty())) {
    return nullptr;
  }
  const std::filesystem::path file =
      args.history.empty() ? chat_history::usual_file() : std::filesystem::path{args.history};
  try {
    return file.empty() ? nullptr : std::make_unique<chat_history>(file, args.name);
  } catch (const parley::error& failure) {
    if (!args.history.empty()) {
      throw;
    }
    why_not = std::string{"nothing is kept: "} + failure.what();
    return nullptr;
  }
}

// Where people look for what they got, if there is such a place.
std::filesystem::path downloads_of(const chat_args& args) {
  if (!args.downloads.empty()) {
    return args.downloads;
  }
  std::error_code ignored;
  const std::filesystem::path usual = at_home("~/Downloads");
  return ::isatty(STDIN_FILENO) != 0 && std::filesystem::is_directory(usual, ignored)
             ? usual
             : std::filesystem::path{"."};
}

// Who closes the window leaves, too; unless he said before that it means nothing.
void leave_with_the_terminal() {
  if (::signal(SIGHUP, [](int) { ::kill(::getpid(), SIGTERM); }) == SIG_IGN) {
    ::signal(SIGHUP, SIG_IGN);
  }
}

exit_code chat(runtime& run, chat_args args) {
  use_utf8();
  leave_with_the_terminal();
  if (args.name.empty()) {
    args.name = name_of_account();
  }
  const bool types = ::isatty(STDIN_FILENO) != 0;
  const bool is_at_terminal = types && ::isatty(STDOUT_FILENO) != 0 && !args.json;
  const bool is_plain = args.plain || !is_at_terminal || is_dumb_terminal();
  if (!args.count) {
    run.set_endless();
  }
  // What has to say goodbye cannot do so in a context that was shut down; the loop sees the signal.
  const runtime::goodbye leaving{run, [] {}};
  const auto friends = args.curve.list(run.context(), args.network.has_keys());
  auto options = args.network.get();
  options.name = args.name;
  options.files_bytes = args.accept_bytes.value_or(options.files_bytes);
  std::string trouble;
  auto kept = opened_history(args, is_at_terminal, trouble);
  std::optional<chat_session> made;
  const auto make = [&] {
    made.emplace(run.context(), options,
                 chat_view{.has_colours = !is_plain && !is_set("NO_COLOR"),
                           .has_time = types && !args.json,
                           .shows_own = !is_plain,
                           .has_status = !is_plain},
                 args.json, chat_downloads{downloads_of(args), args.accept});
  };
  bool writes = kept != nullptr;
  if (kept) {
    options.identity = kept->identity();
    options.journal = kept->letters_file();
  }
  try {
    make();
  } catch (const parley::error& failure) {
    if (failure.code() != parley::errc::file_in_use) {
      throw;
    }
    // Another chat of this name: letters are its.
    writes = false;
    options.identity.clear();
    options.journal.clear();
    make();
  }
  chat_session& session = *made;
  say_gossip(session.gossip());
  session.keep_in(std::move(kept), writes);
  if (!trouble.empty()) {
    session.tell({.what = chat_event::kind::mistake, .text = trouble});
  }
#ifdef PARLEY_WITH_LIBEDIT
  if (!is_plain) {
    return talk_at_terminal(run, session, args);
  }
#endif
  run.watch_stdout();
  if (is_at_terminal) {
    session.look_back(args.room);
  }
  session.begin(args.room);
  return talk_in_lines(run, session, args, args.wait.value_or(types ? 0 : 1));
}

}  // namespace

action add_chat(CLI::App& command) {
  auto args = std::make_shared<chat_args>();
  command.add_option("--name", args->name, "what others call you; otherwise your account's name")
      ->option_text("NAME");
  args->network.add_to(command, "--port", "--curve-keys");
  args->curve.add_list_to(command);
  command.add_option("--room", args->room, "where you are to begin with")
      ->option_text("ROOM [lobby]");
  auto* const history = command.add_option("--history", args->history,
                                           "where what was said is kept; otherwise\n"
                                           "XDG_STATE_HOME/parley/chat.db, at a terminal");
  history->option_text("FILE");
  command.add_flag("--no-history", args->no_history, "nothing is kept")->excludes(history);
  command
      .add_option("--downloads", args->downloads,
                  "where files go that are sent to you; otherwise ~/Downloads\n"
                  "at a terminal, if it is there, or here")
      ->option_text("DIRECTORY");
  command.add_flag("--accept", args->accept, "take all files that are offered");
  command
      .add_option("--accept-bytes", args->accept_bytes,
                  "decline what is beyond so many bytes, of all files on\n"
                  "their way to you together")
      ->option_text("N [1 TiB]");
  command.add_flag("--plain", args->plain, "no colours, no editing: lines in and out");
  add_json(command, args->json, "print each event as a JSON object on a line of its own");
  command
      .add_option("--wait", args->wait,
                  "read no input before N others are in the room; usually 1,\n"
                  "and 0 where a person types")
      ->option_text("N");
  add_count(command, args->count, "end when N lines were heard, not with the input");
  args->timeout.add_to(command,
                       "the longest wait for others, with --count for a line, and\n"
                       "when the input has ended for news of a file (300 s)");
  add_example(command,
              "parley chat --name ann                          # /help tells what to type\n"
              "  df -h / | tail -1 | parley chat --name disk --room ops\n"
              "  echo 'who can deploy?' | parley chat --name bot --count 1 --timeout 60");
  return [args](runtime& run) {
    if (args->room.empty() || args->room.size() > 255) {
      throw CLI::ValidationError{"--room", "a name has 1 to 255 octets"};
    }
    return chat(run, *args);
  };
}
