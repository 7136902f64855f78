// SPDX-License-Identifier: MPL-2.0
//
// Large bodies that are sent from where they are: the program's own memory, or a file.
//
// The bytes must stay valid and unchanged until the last share of the frame is dropped, which may
// be long after the send: libzmq drops its share when the bytes are with the system, a peer over
// pipe:// when it is done with the frame. Small bodies (frame::inline_capacity, 64 bytes) are
// copied at once; up to some KiB libzmq's side makes a copy of its own, since that costs less.
#pragma once

#include <parley/frame.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace parley {

// A frame of the program's bytes. Calls released once, when the last share is dropped (before it
// returns, where the bytes were copied), on the thread that does so: maybe one of libzmq's, which
// must not be kept waiting. Requires: released does not throw.
[[nodiscard]] frame borrow(std::span<const std::byte> bytes, std::function<void()> released);

// A frame of a file's bytes, read from the page cache as they are sent. The file must not be
// shortened while the frame lives: reading what is gone ends the program (SIGBUS), as with any
// mapping. Throws error: cannot_read; what() says which file and why.
[[nodiscard]] frame map_file(const std::filesystem::path& source);

// Part of a frame; shares its body. Requires: offset + size <= whole.size().
[[nodiscard]] frame slice(const frame& whole, std::size_t offset, std::size_t size);

}  // namespace parley
