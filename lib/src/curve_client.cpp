// SPDX-License-Identifier: MPL-2.0
#include "curve_client.hpp"

#include <parley/error.hpp>

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace parley::detail {
namespace {

constexpr std::size_t short_nonce = 8;
constexpr std::size_t long_nonce = 16;
constexpr std::size_t cookie_size = 96;
constexpr std::string_view welcome_name{"\7WELCOME"};
constexpr std::string_view ready_name{"\5READY"};

const std::uint8_t* octets(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}
std::uint8_t* octets(std::string& text) { return reinterpret_cast<std::uint8_t*>(text.data()); }

std::string_view text_of(const std::array<std::uint8_t, 32>& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

// nonce: 24 octets, a word of the command's and a number that is used once
std::string boxed(std::string_view plain, const std::string& nonce,
                  const std::array<std::uint8_t, 32>& to,
                  const std::array<std::uint8_t, 32>& from) {
  std::string box(plain.size() + crypto_box_MACBYTES, '\0');
  if (crypto_box_easy(octets(box), octets(plain), plain.size(), octets(std::string_view{nonce}),
                      to.data(), from.data()) != 0) {
    box.clear();  // a key that is none: the other side will not open it
  }
  return box;
}

std::optional<std::string> unboxed(std::string_view box, const std::string& nonce,
                                   const std::array<std::uint8_t, 32>& from,
                                   const std::array<std::uint8_t, 32>& to) {
  if (box.size() < crypto_box_MACBYTES) {
    return std::nullopt;
  }
  std::string plain(box.size() - crypto_box_MACBYTES, '\0');
  if (crypto_box_open_easy(octets(plain), octets(box), box.size(), octets(std::string_view{nonce}),
                           from.data(), to.data()) != 0) {
    return std::nullopt;
  }
  return plain;
}

std::string counted(char number) { return std::string(short_nonce - 1, '\0') + number; }

}  // namespace

curve_client::curve_client(const curve_security& security)
    : own_{*security.own()}, server_{*security.server()} {
  if (sodium_init() < 0) {  // again and again is fine
    throw error{errc::out_of_resources, "random numbers for CURVE"};
  }
  crypto_box_keypair(public_.data(), secret_.data());
}

// hello = %d5 "HELLO" version 72*72%x00 client-transient-key short-nonce signature-box
std::string curve_client::hello() {
  const std::string nonce = counted(1);
  std::string made{"\5HELLO\1"};
  made.append(1 + 72, '\0').append(text_of(public_)).append(nonce);
  return made + boxed(std::string(64, '\0'), "CurveZMQHELLO---" + nonce, server_.bytes(), secret_);
}

// welcome = %d7 "WELCOME" long-nonce box(server-transient-key cookie)
// initiate = %d8 "INITIATE" cookie short-nonce box(client-key long-nonce vouch metadata)
// vouch = box(client-transient-key server-key)
std::optional<std::string> curve_client::initiate(std::string_view welcome,
                                                  std::string_view metadata) {
  if (!welcome.starts_with(welcome_name)) {
    return std::nullopt;
  }
  welcome.remove_prefix(welcome_name.size());
  const std::string nonce = std::string{"WELCOME-"}.append(welcome.substr(0, long_nonce));
  const auto plain = welcome.size() < long_nonce
                         ? std::nullopt
                         : unboxed(welcome.substr(long_nonce), nonce, server_.bytes(), secret_);
  if (!plain || plain->size() != server_public_.size() + cookie_size) {
    return std::nullopt;
  }
  std::memcpy(server_public_.data(), plain->data(), server_public_.size());
  const std::string_view cookie = std::string_view{*plain}.substr(server_public_.size());

  std::string vouch_nonce(long_nonce, '\0');
  randombytes_buf(vouch_nonce.data(), vouch_nonce.size());
  const std::string vouched = std::string{text_of(public_)}.append(text_of(server_.bytes()));
  std::string content{text_of(own_.public_key.bytes())};
  content.append(vouch_nonce)
      .append(boxed(vouched, "VOUCH---" + vouch_nonce, server_public_, own_.secret_key.bytes()))
      .append(metadata);
  const std::string number = counted(2);
  std::string made{"\10INITIATE"};
  made.append(cookie).append(number);
  return made + boxed(content, "CurveZMQINITIATE" + number, server_public_, secret_);
}

// ready = %d5 "READY" short-nonce box(metadata)
std::optional<std::string> curve_client::open_ready(std::string_view ready) const {
  if (!ready.starts_with(ready_name) || ready.size() < ready_name.size() + short_nonce) {
    return std::nullopt;
  }
  ready.remove_prefix(ready_name.size());
  const std::string nonce = std::string{"CurveZMQREADY---"}.append(ready.substr(0, short_nonce));
  return unboxed(ready.substr(short_nonce), nonce, server_public_, secret_);
}

}  // namespace parley::detail
