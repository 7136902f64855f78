// SPDX-License-Identifier: MPL-2.0
//
// What the asking commands have in common: a client, and how a call ends that gets no answer.
#pragma once

#include "args.hpp"
#include "curve.hpp"
#include "output.hpp"
#include "runtime.hpp"

#include <parley/error.hpp>
#include <parley/request_reply.hpp>

#include <string>
#include <vector>

// Runs ask(client) with a client of args.places. Args: send_args, or what has the same words.
template<class Args, class Ask>
exit_code ask_servers(runtime& run, const Args& args, const output& out, Ask ask) {
  const auto friends = args.curve.list(run.context(), args.places.has_keys());
  parley::client client{run.context(), {.curve = args.curve.get()}};
  const std::vector<place> places = args.places.parse(run);
  const auto watch = handshake_watch::listening_to(client, args.curve);
  take_places(client, places, [&](const parley::endpoint& at) { out.bound(at); });
  const auto report = [&](const std::string& what, exit_code code) {
    say("parley: " + what);
    return code;
  };
  try {
    ask(client);
    return exit_code::done;
  } catch (const parley::timed_out&) {
    return report("no reply from " + args.places.str() + " within " + args.timeout.str(),
                  exit_code::timed_out);
  } catch (const parley::no_server&) {
    return report("no server at " + args.places.str() + " within " + args.timeout.str(),
                  exit_code::no_server);
  } catch (const parley::server_lost&) {
    return report("the server at " + args.places.str() + " went away while it had the call",
                  exit_code::server_lost);
  } catch (const parley::overloaded& refused) {
    return report("the server at " + args.places.str() + " has too much to do; try again in " +
                      std::to_string(refused.retry_after().count()) + " ms",
                  exit_code::overloaded);
  }
}
