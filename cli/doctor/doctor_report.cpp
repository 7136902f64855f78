// SPDX-License-Identifier: MPL-2.0
#include "doctor/doctor_report.hpp"

#include "chat/visible_text.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace {

using parley::neighbour;

std::string joined(const std::vector<std::string>& all, const std::string& between = ", ") {
  std::string text;
  for (const std::string& each : all) {
    text += (text.empty() ? "" : between) + each;
  }
  return text;
}

std::string sightings_text(const std::vector<neighbour::sighting>& all) {
  std::vector<std::string> texts;
  texts.reserve(all.size());
  for (const neighbour::sighting& each : all) {
    texts.push_back(visible(each.interface) + ' ' + std::string{to_string(each.by)} + ' ' +
                    std::to_string(each.count));
  }
  return texts.empty() ? "none" : joined(texts);
}

json_object sightings_json(const std::vector<neighbour::sighting>& all) {
  auto array = json_object::array();
  for (const neighbour::sighting& each : all) {
    array.push_back({{"interface", visible(each.interface)},
                     {"by", to_string(each.by)},
                     {"host", visible(each.host)},
                     {"count", each.count}});
  }
  return array;
}

const neighbour* neighbour_of(const doctor_report& report, const parley::peer_id& who) {
  const auto found = std::ranges::find_if(report.facts.neighbours,
                                          [&](const neighbour& each) { return each.id == who; });
  return found == report.facts.neighbours.end() ? nullptr : &*found;
}

std::string state_of(const parley::host_interface& one) {
  std::string text = !one.is_up              ? "down"
                     : !one.has_carrier      ? "up, nothing connected"
                     : one.addresses.empty() ? "up, no address"
                                             : joined(one.addresses);
  return text + (one.is_wireless ? ", Wi-Fi" : "") + ", MTU " + std::to_string(one.mtu);
}

void add_interfaces(const doctor_report& report, std::vector<std::string>& lines) {
  for (const parley::host_interface& each : report.facts.host) {
    lines.push_back("interface " + each.name + ": " + state_of(each));
    for (const parley::interface_status& books : report.facts.beacons) {
      if (books.name != each.name) {
        continue;
      }
      if (books.sent_to.empty()) {
        lines.push_back("  " + books.address + ": no broadcast, no multicast");
        continue;
      }
      lines.push_back("  to " + books.sent_to + ": sent " + std::to_string(books.sent) +
                      ", heard of others " + std::to_string(books.heard) +
                      (books.refused == 0 ? ""
                                          : ", refused " + std::to_string(books.refused) + " (" +
                                                books.why_refused.message() + ')'));
    }
    std::vector<std::string> own;
    if (const neighbour* const self = neighbour_of(report, report.facts.own)) {
      std::vector<neighbour::sighting> here;
      std::ranges::copy_if(self->sightings, std::back_inserter(here),
                           [&](const auto& seen) { return seen.interface == each.name; });
      for (neighbour::sighting& seen : here) {
        own.push_back(std::string{to_string(seen.by)} + ' ' + std::to_string(seen.count));
      }
    }
    if (!own.empty()) {
      lines.push_back("  our own that came back: " + joined(own));
    }
  }
}

void add_peers(const doctor_report& report, std::vector<std::string>& lines) {
  for (const parley::peer_status& each : report.peers) {
    const neighbour* const heard = neighbour_of(report, each.id);
    lines.push_back(
        "peer " + visible(each.name) + ' ' + each.id.str().substr(0, 6) + ": " +
        (each.address.empty() ? "no address of it answers" : visible(each.address)) +
        "; its beacons here: " +
        sightings_text(heard == nullptr ? std::vector<neighbour::sighting>{} : heard->sightings));
  }
  for (const parley::second_opinion& each : report.facts.opinions) {
    std::ostringstream line;
    line << "checked with " << visible(each.name)
         << ": our beacons there: " << sightings_text(each.heard);
    if (each.round_trip) {
      line << "; there and back in " << std::setprecision(3)
           << static_cast<double>(each.round_trip->count()) / 1000 << " ms";
    } else {
      line << "; no answer";
    }
    if (each.takes_large) {
      line << (*each.takes_large ? "; large messages too" : "; large messages do not come back");
    }
    lines.push_back(line.str());
  }
  for (const parley::seed_answer& each : report.facts.seeds) {
    lines.push_back("seed " + each.seed + ": " + std::string{to_string(each.how)});
  }
}

}  // namespace

bool doctor_report::is_well() const {
  return std::ranges::none_of(findings, &parley::finding::is_trouble);
}

std::vector<std::string> lines_of(const doctor_report& report) {
  std::vector<std::string> lines;
  add_interfaces(report, lines);
  add_peers(report, lines);
  for (const std::string& each : report.unread) {
    lines.push_back("not looked at: " + visible(each));
  }
  for (const parley::finding& each : report.findings) {
    lines.push_back((each.is_trouble ? "trouble: " : "note: ") + visible(each.sentence));
    if (!each.advice.empty()) {
      lines.push_back("  do: " + visible(each.advice));
    }
  }
  if (report.is_well()) {
    lines.emplace_back("all is well");
  }
  return lines;
}

json_object json_of(const doctor_report& report) {
  const parley::network_facts& facts = report.facts;
  json_object all{{"well", report.is_well()}, {"id", facts.own.str()}, {"port", facts.port}};
  all["interfaces"] = json_object::array();
  for (const parley::host_interface& each : facts.host) {
    json_object one{{"name", each.name},
                    {"up", each.is_up},
                    {"carrier", each.has_carrier},
                    {"wireless", each.is_wireless},
                    {"mtu", each.mtu},
                    {"addresses", each.addresses}};
    one["beacons"] = json_object::array();
    for (const parley::interface_status& books : facts.beacons) {
      if (books.name == each.name && !books.sent_to.empty()) {
        one["beacons"].push_back(
            {{"from", books.address},
             {"to", books.sent_to},
             {"sent", books.sent},
             {"heard", books.heard},
             {"refused", books.refused},
             {"why_refused", books.why_refused ? books.why_refused.message() : ""}});
      }
    }
    all["interfaces"].push_back(std::move(one));
  }
  all["neighbours"] = json_object::array();
  for (const neighbour& each : facts.neighbours) {
    json_object one{{"id", each.id.str()}, {"own", each.id == facts.own}};
    one["version"] = each.version ? json_object(*each.version) : json_object(nullptr);
    one["heard"] = sightings_json(each.sightings);
    one["tried"] = json_object::array();
    for (const neighbour::attempt& tried : each.attempts) {
      one["tried"].push_back(
          {{"address", visible(tried.address)}, {"answer", to_string(tried.last)}});
    }
    all["neighbours"].push_back(std::move(one));
  }
  all["peers"] = json_object::array();
  for (const parley::peer_status& each : report.peers) {
    all["peers"].push_back(
        {{"id", each.id.str()}, {"name", visible(each.name)}, {"address", visible(each.address)}});
  }
  all["checked_with"] = json_object::array();
  for (const parley::second_opinion& each : facts.opinions) {
    json_object one{
        {"id", each.who.str()}, {"name", visible(each.name)}, {"host", visible(each.host)}};
    one["hears_itself"] = each.hears_itself;
    one["heard_of_us"] = sightings_json(each.heard);
    one["round_trip_microseconds"] =
        each.round_trip ? json_object(each.round_trip->count()) : json_object(nullptr);
    one["large_messages"] =
        each.takes_large ? json_object(*each.takes_large) : json_object(nullptr);
    all["checked_with"].push_back(std::move(one));
  }
  all["seeds"] = json_object::array();
  for (const parley::seed_answer& each : facts.seeds) {
    all["seeds"].push_back({{"seed", each.seed}, {"answer", to_string(each.how)}});
  }
  all["findings"] = json_object::array();
  for (const parley::finding& each : report.findings) {
    all["findings"].push_back({{"finding", to_string(each.what)},
                               {"trouble", each.is_trouble},
                               {"where", visible(each.where)},
                               {"sentence", visible(each.sentence)},
                               {"advice", visible(each.advice)}});
  }
  all["not_looked_at"] = report.unread;
  return all;
}
