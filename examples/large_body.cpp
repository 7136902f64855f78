// SPDX-License-Identifier: MPL-2.0
//
// A file goes from one socket to another in pieces: neither side ever holds more than a few.
//
//   large_body [FILE]      without a file, it makes one of 20 MB
//
// Prints:
//   sent 20000000 bytes in 77 pieces
//   received body.bin, 20000000 bytes, whole
#include <parley/borrowed_frame.hpp>
#include <parley/chunks.hpp>
#include <parley/socket.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

namespace {

// Returns what the other thread is to print, so that the lines come in order.
std::string receive_all(parley::socket& from) {
  parley::chunk_joiner joiner;
  std::uint64_t received = 0;
  for (;;) {
    const parley::chunk piece = joiner.take(from.receive());
    received += piece.bytes.size();  // a program would write them somewhere
    if (piece.is != parley::chunk::state::more) {
      const bool is_whole = piece.is == parley::chunk::state::last;
      return "received " + piece.name + ", " + std::to_string(received) + " bytes, " +
             (is_whole ? "whole" : "not whole");
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  const bool is_given = count > 1;
  std::string made = (std::filesystem::temp_directory_path() / "parley-XXXXXX").string();
  const std::filesystem::path path{is_given ? arguments[1] : ::mkdtemp(made.data())};
  const std::filesystem::path file = is_given ? path : path / "body.bin";
  if (!is_given) {
    std::ofstream{file} << std::string(20'000'000, 'x');
  }

  parley::context context;
  parley::socket pull{context, parley::socket_kind::pull};
  parley::socket push{context, parley::socket_kind::push, {.send_limit_bytes = 1 << 20}};
  push.connect(pull.bind("tcp://127.0.0.1:0"));

  std::string result;
  std::thread receiver{[&] { result = receive_all(pull); }};
  parley::chunk_cutter cutter{file.filename().string(), parley::map_file(file)};
  std::size_t pieces = 0;
  while (auto piece = cutter.next()) {
    push.send(std::move(*piece));
    ++pieces;
  }
  receiver.join();
  std::cout << "sent " << cutter.bytes() << " bytes in " << pieces << " pieces\n" << result << '\n';
  if (!is_given) {
    std::filesystem::remove_all(path);
  }
}
