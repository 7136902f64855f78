// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <parley/curve.hpp>

#include <memory>
#include <string>

namespace {

struct keygen_options {
  std::string name;
  bool json = false;
};

}  // namespace

action add_keygen(CLI::App& command) {
  auto chosen = std::make_shared<keygen_options>();
  command
      .add_option("NAME", chosen->name, "file for the public key; NAME_secret will hold both keys")
      ->required();
  add_json(command, chosen->json, "print a JSON object");
  add_example(command, "parley keygen keys/desk");
  return [chosen](runtime&) {
    const parley::curve_keys keys = parley::generate_curve_keys();
    parley::write_curve_keys(keys, chosen->name);
    const output out{chosen->json};
    const std::string public_key = keys.public_key.z85();
    if (chosen->json) {
      out.line(json_object{{"public_key", public_key}, {"file", chosen->name}});
    } else {
      out.line(public_key);
    }
    return exit_code::done;
  };
}
