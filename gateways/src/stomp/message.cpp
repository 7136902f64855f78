// SPDX-License-Identifier: MPL-2.0
#include "stomp/message.hpp"

#include <cstring>

#include "stomp/frame_writer.hpp"

namespace parley::stomp {
namespace {

// Between the sender and us, or written for each subscriber anew.
bool is_ours(std::string_view name) {
  switch (name.size()) {
    case 3:
      return name == "ack";
    case 7:
      return name == "receipt";
    case 10:
      return name == "message-id";
    case 11:
      return name == "destination" || name == "transaction" || name == "redelivered";
    case 12:
      return name == "subscription";
    case 14:
      return name == "content-length" || name == "parley-dropped";
    default:
      return false;
  }
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 'c':
        out += ':';
        break;
      default:
        out += '\\';
    }
  }
  return out;
}

}  // namespace

void message::begin(std::string_view destination, std::size_t room) {
  destination_ = destination;
  wire_.reserve(room + destination.size() + 64);
  add("destination", destination);
}

void message::add(std::string_view name, std::string_view value) {
  const std::size_t at = wire_.size();
  append_header(wire_, name, value, version::v1_2);
  escaped_ = escaped_ || wire_.find('\\', at) != std::string::npos;
}

void message::finish(std::string_view body) {
  wire_ += "content-length:";
  append_number(wire_, body.size());
  wire_ += "\n\n";
  body_at_ = wire_.size();
  wire_ += body;
  wire_ += '\0';
}

message_ptr message::from_send(const frame& send, std::string_view reply_to) {
  const auto made = std::make_shared<message>(only_here{});
  std::size_t room = send.body.size() + reply_to.size();
  for (const header& each : send.headers)
    room += each.name.size() + each.value.size() + 2;
  made->begin(send.find("destination").value_or(""), room);
  for (const header& each : send.headers) {
    if (is_ours(each.name)) continue;
    const bool is_reply_to = each.name == "reply-to";
    made->has_reply_to_ = made->has_reply_to_ || is_reply_to;
    made->add(each.name, is_reply_to && !reply_to.empty() ? reply_to : each.value);
  }
  made->finish(send.body);
  return made;
}

message_ptr message::make(std::string_view destination, const std::vector<header>& headers,
                          std::string_view body) {
  const auto made = std::make_shared<message>(only_here{});
  std::size_t room = body.size();
  for (const header& each : headers)
    room += each.name.size() + each.value.size() + 2;
  made->begin(destination, room);
  for (const header& each : headers)
    made->add(each.name, each.value);
  made->finish(body);
  return made;
}

message_ptr message::redirected(std::string_view destination) const {
  const auto made = std::make_shared<message>(only_here{});
  made->begin(destination, wire_.size());
  const std::size_t own = wire_.find('\n') + 1;
  made->body_at_ = made->wire_.size() + body_at_ - own;
  made->wire_.append(wire_, own);
  made->escaped_ = made->escaped_ || escaped_;
  made->has_reply_to_ = has_reply_to_;
  return made;
}

std::optional<std::string> message::find(std::string_view name) const {
  std::string_view lines{wire_.data(), body_at_ - 1};
  lines.remove_prefix(lines.find('\n') + 1);  // the destination is no header of the sender's
  std::string wanted;
  append_escaped(wanted, name, version::v1_2);
  wanted += ':';
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    if (line.starts_with("content-length:")) break;  // ours, behind the sender's
    if (line.starts_with(wanted)) return unescape(line.substr(wanted.size()));
    lines.remove_prefix(line.size() + 1);
  }
  return std::nullopt;
}

void message::append_to(std::string& out, version form) const {
  if (!escaped_ || form == version::v1_2) {
    out += wire_;
    return;
  }
  std::string_view lines{wire_.data(), body_at_ - 1};
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    const std::size_t colon = line.find(':');
    append_header(out, unescape(line.substr(0, colon)), unescape(line.substr(colon + 1)), form);
    lines.remove_prefix(line.size() + 1);
  }
  out.append(wire_, body_at_ - 1);
}

}  // namespace parley::stomp
