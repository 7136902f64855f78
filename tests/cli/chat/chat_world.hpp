// SPDX-License-Identifier: MPL-2.0
//
// A desk whose network and clock are the test's.
#pragma once

#include "chat/chat_desk.hpp"
#include "chat/chat_view.hpp"
#include "chat/visible_text.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

class chat_world {
 public:
  static inline const bool in_utf8 = (use_utf8(), true);
  static inline const parley::peer_id ann{{0xAA}};
  static inline const parley::peer_id bob{{0x3F, 0x2A}};
  static inline const parley::peer_id other_bob{{0x91, 0xC0}};

  chat_world() {
    desk.begin("lobby", {});
    forget();
  }

  chat_desk desk{ann, "ann", chat_desk::time_point{}};
  chat_desk::time_point now{std::chrono::seconds{100}};

  void enters(const parley::peer_id& who, const std::string& name, bool has_chat = true,
              const std::string& room = "lobby") {
    parley::peer_event event{.what = parley::peer_event::kind::enter, .peer = who, .name = name};
    event.address = "tcp://10.0.0.5:49152";
    if (has_chat) {
      event.headers.emplace(chat_header, chat_version);
      event.headers.emplace("X-PARLEY", "1");
    }
    desk.hear(event, now);
    joins(who, room);
  }
  void joins(const parley::peer_id& who, const std::string& room) {
    desk.hear({.what = parley::peer_event::kind::join, .peer = who, .group = room}, now);
  }
  void exits(const parley::peer_id& who, parley::peer_exit reason = parley::peer_exit::left) {
    desk.hear({.what = parley::peer_event::kind::exit, .peer = who, .reason = reason}, now);
  }
  void shouts(const parley::peer_id& who, const parley::message& content,
              const std::string& room = "lobby") {
    desk.hear(
        {.what = parley::peer_event::kind::shout, .peer = who, .group = room, .content = content},
        now);
  }
  void whispers(const parley::peer_id& who, const parley::message& content) {
    desk.hear({.what = parley::peer_event::kind::whisper, .peer = who, .content = content}, now);
  }
  // What parley::peers tells of somebody.
  void happens(const parley::peer_id& who, parley::peer_event::kind what, std::uint64_t count = 0,
               const std::string& group = {}) {
    desk.hear({.what = what, .peer = who, .group = group, .count = count}, now);
  }
  void type(std::string_view line) { desk.type(line, now); }

  // What the person sees, a line each.
  std::string seen() {
    std::string all;
    for (const chat_event& each : desk.take_events()) {
      if (const std::string line = chat_view{}.line(each, 0); !line.empty()) {
        all += line + '\n';
      }
    }
    return all;
  }
  // What is done: "join lobby", "shout lobby: hi", "whisper 3F2A: hi", with the mark's kind behind
  // it.
  std::string done() {
    std::string all;
    for (const chat_step& each : desk.take_steps()) {
      all += told(each) + '\n';
      if (each.what == chat_step::kind::shout) {
        desk.was_said(each.room, each.text, 1);
      } else if (each.what == chat_step::kind::whisper && !each.text.empty()) {
        desk.was_told(each.peer, each.text, true);
      }
    }
    return all;
  }
  void forget() {
    static_cast<void>(desk.take_events());
    static_cast<void>(desk.take_steps());
  }

 private:
  static std::string told(const chat_step& step) {
    switch (step.what) {
      case chat_step::kind::join:
        return "join " + step.room;
      case chat_step::kind::leave:
        return "leave " + step.room;
      case chat_step::kind::shout:
        return "shout " + step.room + ": " + step.text;
      case chat_step::kind::recall:
        return "recall " + step.text;
      case chat_step::kind::quit:
        return "quit";
      case chat_step::kind::letter:
        return "letter " + step.identity + ": " + step.text;
      case chat_step::kind::meet:
        return "meet " + step.identity + ": " + step.text;
      case chat_step::kind::read:
        return "letter read " + std::to_string(step.letter.number);
      case chat_step::kind::receipt:
        return "receipt " + std::to_string(step.letter.number);
      case chat_step::kind::send:
        return "send " + step.peer.str().substr(0, 4) + ": " + step.text;
      case chat_step::kind::accept:
        return "accept " + std::to_string(step.number);
      case chat_step::kind::decline:
        return "decline " + std::to_string(step.number);
      case chat_step::kind::whisper:
        break;
    }
    std::string text =
        "whisper " + step.peer.str().substr(0, 4) + ": " + step.content.front().str();
    if (const auto mark = read_mark(step.content)) {
      switch (mark->what) {
        case chat_mark::kind::ask:
          return text + " ask " + std::to_string(mark->id);
        case chat_mark::kind::read:
          return text + " read " + std::to_string(mark->id);
        case chat_mark::kind::away:
          return text + " away " + mark->note;
        case chat_mark::kind::written:
          return text + " written " + std::to_string(mark->id);
      }
    }
    return text;
  }
};
