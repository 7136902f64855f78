// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <memory>
#include <string>

#include <zmq.h>

action add_version(CLI::App& command) {
  auto json = std::make_shared<bool>(false);
  add_json(command, *json, "print a JSON object");
  add_example(command, "parley version --json");
  return [json](runtime&) {
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    const std::string libzmq =
        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
    const output out{*json};
    if (*json) {
      out.line(json_object{{"parley", PARLEY_VERSION}, {"libzmq", libzmq}});
    } else {
      out.line("parley " PARLEY_VERSION " (libzmq " + libzmq + ")");
    }
    return exit_code::done;
  };
}
