// SPDX-License-Identifier: MPL-2.0
#include "output.hpp"

#include <parley/subscriber.hpp>
#include <parley/text.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

using parley::detail::is_utf8;
using parley::detail::to_base64;

namespace {

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE || errno == EBADF) {
      throw output_closed{};
    } else if (errno != EINTR) {
      throw std::system_error{errno, std::generic_category(), "cannot write"};
    }
  }
}

}  // namespace

void put(json_object& object, const std::string& name, std::string_view value) {
  if (is_utf8(value)) {
    object[name] = value;
  } else {
    object[name + "_base64"] = to_base64(value);
  }
}

std::string id_text(std::uint64_t id) {
  constexpr std::string_view digits{"0123456789abcdef"};
  std::string text(16, '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at, id >>= 4U) {
    *at = digits[id & 0xfU];
  }
  return text;
}

void output::line(std::string text) const {
  text += '\n';
  write_all(STDOUT_FILENO, text);
}

void output::line(const json_object& object) const {
  // Text that came from a peer inside a decoded value may still be no UTF-8.
  line(object.dump(-1, ' ', false, json_object::error_handler_t::replace));
}

void output::bound(const parley::endpoint& where) const {
  if (json_) {
    line(json_object{{"bound", where.str()}});
  } else {
    say("bound " + where.str());
  }
}

void output::listening(std::string_view protocol, std::string_view host, unsigned port) const {
  if (json_) {
    line(json_object{{"listening", protocol}, {"host", host}, {"port", port}});
  } else {
    const bool ipv6 = host.find(':') != std::string_view::npos;
    say("listening " + std::string{protocol} + " " + (ipv6 ? "[" : "") + std::string{host} +
        (ipv6 ? "]:" : ":") + std::to_string(port));
  }
}

void output::publication(const parley::publication& received) const {
  if (!json_) {
    line(received.topic.str() + '\t' + received.body.str());
    return;
  }
  json_object object;
  put(object, "topic", received.topic.view());
  put(object, "body", received.body.view());
  if (received.publisher != 0) {
    object["publisher"] = id_text(received.publisher);
    object["sequence"] = received.sequence;
    object["urgent"] = received.is_urgent;
  }
  line(object);
}

void output::feed_event(const parley::feed_event& event) const {
  const std::string publisher = id_text(event.publisher);
  if (event.what == parley::feed_event::kind::cut_off) {
    if (json_) {
      line(json_object{{"cut_off", publisher}});
    } else {
      say("parley: publisher " + publisher + " sends no more: this subscriber lagged");
    }
  }
  if (event.what != parley::feed_event::kind::lost) {
    return;
  }
  if (json_) {
    json_object object{{"lost", event.count}};
    put(object, "prefix", event.prefix);
    object["publisher"] = publisher;
    object["first"] = event.first;
    object["last"] = event.last;
    object["urgent"] = event.is_urgent;
    object["reason"] = to_string(event.reason);
    line(object);
  } else {
    const std::string first = std::to_string(event.first);
    say("parley: lost " + std::to_string(event.count) + (event.is_urgent ? " urgent" : "") +
        (event.count == 1 ? " message of '" : " messages of '") + event.prefix + "' (" + first +
        (event.first == event.last ? "" : '-' + std::to_string(event.last)) +
        "): " + std::string{to_string(event.reason)});
  }
}

void output::message(const parley::message& received) const {
  if (!json_) {
    line(as_text(received));
    return;
  }
  json_object object;
  if (received.size() == 1) {
    put(object, "body", received.front().view());
  } else {
    const bool utf8 = std::all_of(received.begin(), received.end(),
                                  [](const parley::frame& each) { return is_utf8(each.view()); });
    json_object& frames = object[utf8 ? "frames" : "frames_base64"] = json_object::array();
    for (const parley::frame& each : received) {
      frames.push_back(utf8 ? each.str() : to_base64(each.view()));
    }
  }
  line(object);
}

std::string as_text(const parley::message& received) {
  std::string text;
  for (const parley::frame& each : received) {
    if (&each != received.begin()) {
      text += '\t';
    }
    text += each.view();
  }
  return text;
}

void say(std::string_view sentence) {
  try {
    write_all(STDERR_FILENO, std::string{sentence} + '\n');
  } catch (const std::exception&) {
    // Nobody listens, and there is nowhere else to say so.
  }
}
