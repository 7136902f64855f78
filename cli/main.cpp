// SPDX-License-Identifier: MPL-2.0
//
// The program parley: a table of commands.
#include "commands/commands.hpp"
#include "output.hpp"

#include <parley/error.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

struct command {
  const char* name;
  const char* summary;
  action (*add)(CLI::App&);
};

constexpr std::array commands{
    command{"pub", "publish messages on a topic", add_pub},
    command{"sub", "print what is published", add_sub},
    command{"forward", "pass on what is published, with a memory", add_forward},
    command{"req", "ask a server and print its reply", add_req},
    command{"rep", "reply to requests", add_rep},
    command{"call", "call a method of a server", add_call},
    command{"serve", "answer calls by commands and fixed results", add_serve},
    command{"push", "hand out tasks to workers", add_push},
    command{"pull", "take tasks and print them", add_pull},
    command{"work", "run a command for each task", add_work},
    command{"queue", "look into a source's tasks", add_queue},
    command{"peers", "tell who is on this network", add_peers},
    command{"doctor", "say why peers do not find each other", add_doctor},
    command{"chat", "talk to people on this network", add_chat},
#ifdef PARLEY_WITH_GATEWAYS
    command{"gateway", "let STOMP clients join in", add_gateway},
#endif
    command{"keygen", "make a pair of CURVE keys", add_keygen},
    command{"version", "print the versions of Parley and libzmq", add_version},
};

exit_code code_of(const parley::error& failure) {
  switch (static_cast<parley::errc>(failure.code().value())) {
    case parley::errc::timed_out:
      return exit_code::timed_out;
    case parley::errc::remote:
    case parley::errc::protocol:
      return exit_code::peer_error;
    case parley::errc::invalid_endpoint:
    case parley::errc::invalid_config:
    case parley::errc::unsupported:
    case parley::errc::cannot_read:
    case parley::errc::cannot_write:
    case parley::errc::damaged_file:
      return exit_code::usage;
    default:
      return exit_code::unreachable;
  }
}

// Where stdin, stdout or stderr are closed, the next file to be opened would take their number, and
// with it what is printed. Opened the wrong way round, they fail as closed ones should.
void keep_standard_fds() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0) {
      static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
    }
  }
}

exit_code run(const action& chosen) {
  try {
    runtime run;
    try {
      return chosen(run);
    } catch (const parley::closed&) {
      return run.stopped_code();
    }
  } catch (const output_closed&) {
    return exit_code::done;
  } catch (const CLI::Error& mistake) {
    say(std::string{"parley: "} + mistake.what());
    return exit_code::usage;
  } catch (const parley::error& failure) {
    say(std::string{"parley: "} + failure.what());
    return code_of(failure);
  } catch (const std::system_error& failure) {
    say(std::string{"parley: "} + failure.what());
    return exit_code::usage;
  } catch (const std::exception& failure) {
    say(std::string{"parley: "} + failure.what());
    return exit_code::unreachable;
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_fds();
  ::signal(SIGPIPE, SIG_IGN);

  CLI::App app{"Messaging from the command line: publish, ask, hand out work.", "parley"};
  app.require_subcommand(1);
  app.footer("'parley COMMAND --help' tells more, with an example.");
  std::vector<std::pair<CLI::App*, action>> actions;
  for (const command& each : commands) {
    CLI::App* added = app.add_subcommand(each.name, each.summary);
    actions.emplace_back(added, each.add(*added));
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& outcome) {
    if (app.get_subcommands().empty() && !app.remaining().empty()) {
      say("parley: no such command: " + app.remaining().front());
      return static_cast<int>(exit_code::usage);
    }
    // Help is an "error" to CLI11 too, one with the code 0.
    return app.exit(outcome) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  for (const auto& [added, chosen] : actions) {
    if (added->parsed()) {
      return static_cast<int>(run(chosen));
    }
  }
  return static_cast<int>(exit_code::usage);
}
