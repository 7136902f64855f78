// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>

#include <utility>

namespace parley {
namespace {

class parley_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "parley"; }

  std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::timed_out:
        return "nothing happened before the deadline";
      case errc::closed:
        return "it was shut down";
      case errc::invalid_endpoint:
        return "not a valid endpoint";
      case errc::cannot_bind:
        return "cannot bind";
      case errc::cannot_connect:
        return "cannot connect";
      case errc::cannot_read:
        return "cannot read the file";
      case errc::cannot_write:
        return "cannot write the file";
      case errc::disk_full:
        return "the disk is full";
      case errc::damaged_file:
        return "the file is damaged";
      case errc::file_in_use:
        return "the file is in use";
      case errc::invalid_config:
        return "not a valid setting";
      case errc::protocol:
        return "the peer broke the protocol";
      case errc::remote:
        return "the peer answered with an error";
      case errc::cancelled:
        return "it was cancelled";
      case errc::no_server:
        return "no server is there";
      case errc::server_lost:
        return "the server was lost before it replied";
      case errc::overloaded:
        return "there is too much to do already";
      case errc::unsupported:
        return "not supported by this kind of object";
      case errc::forked:
        return "it belongs to the parent process; after fork() a child must make its own";
      case errc::unknown_peer:
        return "there is no such peer";
      case errc::out_of_turn:
        return "requests and replies must take turns on this socket";
      case errc::out_of_resources:
        return "out of file descriptors, sockets or memory";
      case errc::internal:
        return "unexpected failure in a library";
    }
    return "unknown parley error " + std::to_string(code);
  }
};

// Not the function's own: it would be locked for ever in a child that another thread forked away
// from under its first use.
constinit const parley_category instance;

}  // namespace

const std::error_category& category() noexcept { return instance; }

std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), category()}; }

error::error(errc code, std::string_view detail)
    : std::system_error{make_error_code(code), std::string{detail}} {}

remote_error::remote_error(std::string type, std::string text)
    : error{errc::remote, type + ": " + text}, type_{std::move(type)}, text_{std::move(text)} {}

}  // namespace parley
