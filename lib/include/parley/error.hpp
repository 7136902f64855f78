// SPDX-License-Identifier: MPL-2.0
//
// The one enum for all that can go wrong outside the program, and the exceptions that carry it.
//
// Everyday outcomes (full, empty, nothing came in time) are results, not errors: bool or
// std::optional. What is declared here is thrown by set-up and by calls; no destructor and no
// background thread of Parley throws. A caller's own mistake is an assertion, never one of these.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <system_error>

namespace parley {

enum class errc {
  timed_out = 1,     // the deadline passed first
  closed,            // the object or its context was shut down, here or by another thread
  invalid_endpoint,  // the text is no endpoint, or the endpoint does not fit the call
  cannot_bind,       // the address is taken, not ours, or not permitted
  cannot_connect,    // nobody can be reached there
  cannot_read,       // a file is not there, or may not be read
  cannot_write,      // a file may not be written, or writing it failed
  disk_full,         // there is no room for it; what was written before is as it was
  damaged_file,      // what is in a file cannot be right
  file_in_use,       // somebody else has it, and only one can
  invalid_config,    // an option has a value that makes no sense
  protocol,          // a peer sent bytes that break the protocol
  remote,            // the peer answered, with an error
  cancelled,         // the caller asked for its end
  no_server,         // nobody was there to take the call
  server_lost,       // it took the call, and went away before the reply
  overloaded,        // there is too much to do already; nothing was done about this
  unsupported,       // this kind of object cannot do that
  forked,            // it belongs to the process that this one was forked from
  unknown_peer,      // a router has no peer of that routing id
  out_of_turn,       // a request socket sends, then receives; a reply socket the other way round
  out_of_resources,  // file descriptors, sockets or memory are used up
  internal,          // libzmq or SQLite reported something that should not happen
};

[[nodiscard]] const std::error_category& category() noexcept;
[[nodiscard]] std::error_code make_error_code(errc code) noexcept;

// Base of all that Parley throws. what() reads "<detail: what and where>: <sentence of the code>".
class error : public std::system_error {
 public:
  error(errc code, std::string_view detail);
};

class timed_out : public error {
 public:
  explicit timed_out(std::string_view detail) : error{errc::timed_out, detail} {}
};

class closed : public error {
 public:
  explicit closed(std::string_view detail) : error{errc::closed, detail} {}
};

class config_error : public error {
 public:
  explicit config_error(std::string_view detail) : error{errc::invalid_config, detail} {}
};

class protocol_error : public error {
 public:
  explicit protocol_error(std::string_view detail) : error{errc::protocol, detail} {}
};

class cancelled : public error {
 public:
  explicit cancelled(std::string_view detail) : error{errc::cancelled, detail} {}
};

class no_server : public error {
 public:
  explicit no_server(std::string_view detail) : error{errc::no_server, detail} {}
};

class server_lost : public error {
 public:
  explicit server_lost(std::string_view detail) : error{errc::server_lost, detail} {}
};

class overloaded : public error {
 public:
  overloaded(std::string_view detail, std::chrono::milliseconds retry_after)
      : error{errc::overloaded, detail}, retry_after_{retry_after} {}
  // When it may be worth while to ask again, as the server estimates.
  [[nodiscard]] std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }

 private:
  std::chrono::milliseconds retry_after_;
};

// A peer's answer that is an error. type() and text() are the peer's own words.
class remote_error : public error {
 public:
  remote_error(std::string type, std::string text);
  [[nodiscard]] const std::string& type() const noexcept { return type_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string type_;
  std::string text_;
};

}  // namespace parley

template<>
struct std::is_error_code_enum<parley::errc> : std::true_type {};
