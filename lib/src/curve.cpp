// SPDX-License-Identifier: MPL-2.0
#include <parley/curve.hpp>
#include <parley/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace parley {
namespace {

constexpr std::size_t z85_size = 40;

std::filesystem::path secret_path(const std::filesystem::path& name) {
  return name.string() + "_secret";
}

std::string section(const std::string& head, const curve_keys& keys, bool with_secret) {
  std::string text = head;
  text += "metadata\ncurve\n    public-key = \"";
  text += keys.public_key.z85();
  text += "\"\n";
  if (with_secret) {
    text += "    secret-key = \"";
    text += keys.secret_key.z85();
    text += "\"\n";
  }
  return text;
}

void write_new_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  const auto fail = [&path](int code) {
    throw config_error{path.string() + " cannot be written: " + std::strerror(code)};
  };
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) {
    fail(errno);
  }
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int code = errno;
  ::close(fd);
  if (!written) {
    ::unlink(path.c_str());
    fail(code);
  }
}

// The value in a line `name = "value"` of a ZPL file (RFC 4).
std::optional<std::string> value_of(const std::filesystem::path& path, std::string_view name) {
  std::ifstream file{path};
  if (!file) {
    throw config_error{path.string() + " cannot be read: " + std::strerror(errno)};
  }
  for (std::string line; std::getline(file, line);) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line.compare(start, name.size(), name) != 0) {
      continue;
    }
    const std::size_t open = line.find('"', start + name.size());
    const std::size_t close = line.rfind('"');
    if (open != std::string::npos && close > open) {
      return line.substr(open + 1, close - open - 1);
    }
  }
  return std::nullopt;
}

curve_key key_in(const std::filesystem::path& path, std::string_view name) {
  const auto text = value_of(path, name);
  if (!text) {
    throw config_error{path.string() + " holds no " + std::string{name}};
  }
  try {
    return curve_key{*text};
  } catch (const config_error&) {
    throw config_error{path.string() + ": the " + std::string{name} + " is no Z85 key"};
  }
}

}  // namespace

curve_key::curve_key(std::string_view z85) : bytes_{} {
  const std::string text{z85};
  if (text.size() != z85_size || ::zmq_z85_decode(bytes_.data(), text.c_str()) == nullptr) {
    throw config_error{"a CURVE key has 40 characters of Z85"};
  }
}

std::string curve_key::z85() const {
  char text[z85_size + 1];
  ::zmq_z85_encode(text, bytes_.data(), bytes_.size());
  return text;
}

curve_keys generate_curve_keys() {
  char public_text[z85_size + 1];
  char secret_text[z85_size + 1];
  if (::zmq_curve_keypair(public_text, secret_text) != 0) {
    throw error{errc::unsupported, "make CURVE keys (this libzmq was built without CURVE)"};
  }
  return {curve_key{public_text}, curve_key{secret_text}};
}

void write_curve_keys(const curve_keys& keys, const std::filesystem::path& name) {
  write_new_file(secret_path(name),
                 section("#   ZeroMQ CURVE **Secret** Certificate\n"
                         "#   Do not give this file to anybody, nor change its permissions.\n\n",
                         keys, true),
                 0600);
  try {
    write_new_file(name,
                   section("#   ZeroMQ CURVE Public Certificate\n"
                           "#   Hand it out by a way that nobody can tamper with.\n\n",
                           keys, false),
                   0644);
  } catch (...) {
    ::unlink(secret_path(name).c_str());  // half a pair would be taken for the other half's
    throw;
  }
}

curve_keys read_curve_keys(const std::filesystem::path& name) {
  const std::filesystem::path both =
      std::filesystem::exists(secret_path(name)) ? secret_path(name) : name;
  return {key_in(both, "public-key"), key_in(both, "secret-key")};
}

curve_key read_public_key(const std::filesystem::path& name) { return key_in(name, "public-key"); }

}  // namespace parley
