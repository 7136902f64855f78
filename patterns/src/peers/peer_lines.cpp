// SPDX-License-Identifier: MPL-2.0
#include "peer_lines.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <zmq.hpp>

namespace parley::detail {

void peer_lines::take_steps(time_point now) {
  // A step that fails makes others.
  for (auto steps = desk_.take_steps(); !steps.empty(); steps = desk_.take_steps()) {
    for (peer_step& each : steps) {
      take(std::move(each), now);
    }
  }
}

void peer_lines::take(peer_step&& step, time_point now) {
  switch (step.what) {
    case peer_step::kind::probe:
      probes_.begin(step.link, step.where, now);
      break;
    case peer_step::kind::open:
      open(step);
      break;
    case peer_step::kind::send:
      if (const auto line = lines_.find(step.link); line != lines_.end()) {
        if (!line->second.try_send(std::move(step.said))) {
          desk_.stuck(step.link);
        }
      }
      break;
    case peer_step::kind::close:
      lines_.erase(step.link);
      break;
    case peer_step::kind::drop:
      if (const auto line = lines_.find(step.link); line != lines_.end()) {
        // Or it connects once more, and takes the peer's ear away from its successor.
        line->second.native().set(zmq::sockopt::linger, 0);
        lines_.erase(line);
      }
      break;
  }
}

void peer_lines::open(const peer_step& step) {
  try {
    socket_options options;
    options.routing_id = '\x01' + std::string{own_.view()};
    // What nobody waits for (joins, answers) must find room beside what was said.
    options.send_limit = static_cast<int>(std::clamp<std::size_t>(options_.limit, 1000, 1'000'000));
    options.send_limit_bytes = options_.limit_bytes;
    options.linger = options_.linger;
    if (step.key) {
      options.curve = {*step.key, *options_.curve.own()};
    }
    socket line{context_, socket_kind::dealer, options};
    line.connect(step.where.str());
    lines_.insert_or_assign(step.link, std::move(line));
  } catch (const error&) {
    lines_.erase(step.link);
    desk_.stuck(step.link);
  }
}

peer_lines::ear peer_lines::ear_of(const peer_id& who) const {
  const peer_link link = desk_.link_of(who);
  if (link == 0) {
    return ear::absent;
  }
  const auto takes = [&] {
    if (!desk_.is_open(link)) {
      return desk_.kept(link) < options_.limit && desk_.kept_bytes(link) < options_.limit_bytes;
    }
    const auto line = lines_.find(link);
    return line != lines_.end() && line->second.can_send();
  };
  return takes() ? ear::open : ear::full;
}

void peer_lines::whisper(const peer_id& to, const message& content, time_point now) {
  desk_.whisper(to, content);
  take_steps(now);
}

}  // namespace parley::detail
