// SPDX-License-Identifier: MPL-2.0
#include "args.hpp"
#include "chat/visible_text.hpp"
#include "commands.hpp"
#include "curve.hpp"
#include "doctor/doctor_report.hpp"
#include "doctor/doctor_talk.hpp"
#include "doctor/firewall_text.hpp"
#include "doctor/host_facts.hpp"
#include "output.hpp"

#include <parley/peers.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// Long enough to hear those around a few times, and to greet them.
constexpr double usual_look_seconds = 5;
// More often than others, so that little time is enough.
constexpr auto interval = 500ms;

struct doctor_args {
  std::string name;
  network_arg network;
  curve_arg curve;
  count_arg count;
  timeout_arg timeout;
  bool json = false;
};

std::string name_of_host() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// True: --count was reached, or there is none.
bool examine(parley::peers& lan, const doctor_args& args, doctor_talk& talk) {
  const auto until = clock::now() + args.timeout.get();
  for (auto next = clock::now();;) {
    const auto now = clock::now();
    if (const auto event = lan.receive_for(std::max(next - now, clock::duration::zero()))) {
      talk.hear(*event, clock::now());
    }
    next = talk.tick(clock::now(), lan.id(), [&lan] { return lan.neighbours(); });
    for (const doctor_talk::step& each : talk.take_steps()) {
      static_cast<void>(lan.whisper(each.to, each.said));
    }
    const bool is_enough = args.count && talk.count_done() >= *args.count;
    if (talk.is_over() && (is_enough || clock::now() >= until)) {
      return !args.count || is_enough;
    }
  }
}

void look_at_firewall_again(doctor_report& report, const firewall_look& before, int stop_fd) {
  if (!before.why_not.empty()) {
    report.unread.push_back("the firewall: " + before.why_not);
    return;
  }
  report.facts.firewall = dropped_between(before.rules, look_at_firewall(stop_fd).rules);
}

exit_code doctor(runtime& run, doctor_args args) {
  use_utf8();
  if (args.count) {
    args.timeout.set_usual(60);
  }
  args.timeout.set_usual(usual_look_seconds);
  const auto friends = args.curve.list(run.context(), args.network.has_keys());
  auto options = args.network.get();
  options.name = args.name.empty() ? name_of_host() : args.name;
  options.headers = {{doctor_header, doctor_version}};
  options.interval = interval;
  options.max_wait = 0ms;
  options.max_frame_bytes = 256 * 1024;

  doctor_report report;
  report.facts.port = options.port;
  report.facts.interfaces = options.interfaces;
  report.facts.tcp_ports = ports_of_the_system();
  if (options.port != 0) {
    report.facts.why_port_is_taken = why_udp_port_is_taken(options.port);
  }
  if (!report.facts.why_port_is_taken.empty()) {
    report.facts.port_is_taken_by = owner_of_udp_port(options.port);
    options.port = 0;
  }
  const auto firewall = look_at_firewall(run.stop_fd());
  const auto not_read_before = datagrams_not_read_in_time();
  for (const parley::peer_seed& each : options.seeds) {
    report.facts.seeds.push_back({each.where.str(), try_tcp(each.where)});
  }
  parley::peers lan{run.context(), options};
  say_gossip(lan.gossip());
  const runtime::goodbye leaving{run, [&lan] { lan.close(); }};
  doctor_talk talk;
  const bool is_enough = examine(lan, args, talk);

  for (parley::seed_answer& each : report.facts.seeds) {
    if (each.how != parley::probe_answer::answered) {
      each.how = try_tcp(each.seed);  // it may have come meanwhile
    }
  }
  report.facts.own = lan.id();
  report.facts.is_secured = options.curve.own().has_value();
  report.facts.host = host_interfaces();
  report.facts.beacons = lan.interfaces();
  report.facts.statistics = lan.statistics();  // before the neighbours: they account for it
  report.facts.neighbours = lan.neighbours();
  report.peers = lan.here();
  for (const parley::peer_status& each : report.peers) {
    report.facts.here.push_back(each.id);
  }
  report.facts.opinions = talk.opinions();
  report.facts.not_read_in_time = datagrams_not_read_in_time() - not_read_before;
  look_at_firewall_again(report, firewall, run.stop_fd());
  report.findings = diagnose(report.facts);
  if (!options.interfaces.empty()) {
    std::erase_if(report.facts.host,
                  [&](const auto& each) { return !is_among(each, options.interfaces); });
  }

  const output out{args.json};
  if (args.json) {
    out.line(json_of(report));
  } else {
    for (const std::string& each : lines_of(report)) {
      out.line(each);
    }
  }
  if (!is_enough) {
    say("parley: fewer than " + std::to_string(*args.count) + " were checked with within " +
        args.timeout.str());
    return exit_code::timed_out;
  }
  return report.is_well() ? exit_code::done : exit_code::unreachable;
}

}  // namespace

action add_doctor(CLI::App& command) {
  auto args = std::make_shared<doctor_args>();
  command.add_option("--name", args->name, "what others call this host; otherwise its name")
      ->option_text("NAME");
  args->network.add_to(command, "--port", "--curve-keys");
  args->curve.add_list_to(command);
  add_json(command, args->json, "print one JSON object: facts, findings, and what to do");
  add_count(command, args->count, "wait until it was checked with N others that run it, too");
  args->timeout.add_to(command, "how long to look (5 s), or, with --count, to wait (60 s)");
  add_example(
      command,
      "parley doctor                                   # why is nobody here?\n"
      "  parley doctor --count 1                         # the same on two hosts: both ways\n"
      "  parley doctor --seed tcp://10.0.0.1:5670 --json");
  return [args](runtime& run) { return doctor(run, *args); };
}
