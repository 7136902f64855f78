// SPDX-License-Identifier: MPL-2.0
//
// Keys for CURVE, ZeroMQ's encryption and authentication (RFC 26), and the files they live in.
//
// Keys are values; any thread may use these functions. A key prints as 40 characters of Z85 (RFC
// 32). Files are those of czmq's zcert: NAME holds the public key and may be handed out,
// NAME_secret holds both keys and is readable by its owner only.
#pragma once

#include <array>
#include <compare>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

class curve_key {
 public:
  static constexpr std::size_t size = 32;

  // Throws config_error when the text is no key.
  explicit curve_key(std::string_view z85);
  explicit curve_key(const std::array<std::uint8_t, size>& bytes) : bytes_{bytes} {}

  [[nodiscard]] const std::array<std::uint8_t, size>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::string z85() const;

  friend bool operator==(const curve_key&, const curve_key&) = default;
  friend std::strong_ordering operator<=>(const curve_key& one, const curve_key& other) {
    return one.bytes_ <=> other.bytes_;
  }

 private:
  std::array<std::uint8_t, size> bytes_;
};

struct curve_keys {
  curve_key public_key;
  curve_key secret_key;

  friend bool operator==(const curve_keys&, const curve_keys&) = default;
};

// Fresh keys from the system's random numbers.
[[nodiscard]] curve_keys generate_curve_keys();

// Writes NAME and NAME_secret; neither may exist yet. Throws config_error.
void write_curve_keys(const curve_keys& keys, const std::filesystem::path& name);

// Reads a file that holds both keys: NAME_secret, which is also found by NAME. Throws config_error.
[[nodiscard]] curve_keys read_curve_keys(const std::filesystem::path& name);

// Reads the public key out of either file. Throws config_error.
[[nodiscard]] curve_key read_public_key(const std::filesystem::path& name);

// How a socket secures its connections: not at all, as the server of its peers, or as their client.
// Effective over tcp and ipc; what stays inside the process is not encrypted.
class curve_security {
 public:
  curve_security() = default;
  // A server: peers must know its public key. Who may connect, an allow_list decides; without one,
  // everybody who knows that key.
  curve_security(const curve_keys& server) : own_{server} {}
  // A client of the server with that public key.
  curve_security(const curve_key& server_public, const curve_keys& own)
      : own_{own}, server_{server_public} {}
  // A client whose own keys are made up for this socket.
  curve_security(const curve_key& server_public)
      : curve_security{server_public, generate_curve_keys()} {}

  [[nodiscard]] const std::optional<curve_keys>& own() const noexcept { return own_; }
  [[nodiscard]] const std::optional<curve_key>& server() const noexcept { return server_; }

  // Not of a key alone: that would turn into a client, with keys made up for the question.
  friend bool operator==(const std::same_as<curve_security> auto& one,
                         const std::same_as<curve_security> auto& other) {
    return one.own_ == other.own_ && one.server_ == other.server_;
  }

 private:
  std::optional<curve_keys> own_;
  std::optional<curve_key> server_;  // none: this socket is the server
};

}  // namespace parley
