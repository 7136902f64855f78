# SPDX-License-Identifier: MPL-2.0
# What parley::lib and parley::patterns need. Used by our own build and, installed beside parley-config.cmake,
# by every project that calls find_package(parley).
include(CMakeFindDependencyMacro)

find_dependency(Threads)
if(NOT TARGET cppzmq)
  find_dependency(cppzmq)
endif()

# For CURVE's handshake where Parley speaks it itself; libzmq speaks it with the same library.
if(NOT TARGET PkgConfig::sodium)
  find_dependency(PkgConfig)
  pkg_check_modules(sodium REQUIRED IMPORTED_TARGET GLOBAL libsodium)
endif()

# For the checksums of files between peers.
if(NOT TARGET PkgConfig::xxhash)
  find_dependency(PkgConfig)
  pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET GLOBAL libxxhash)
endif()

# For what outlives the process: the journals of pipelines.
if(NOT TARGET SQLite::SQLite3)
  find_dependency(SQLite3)
endif()

# msgpack-c renamed both its package and its target in version 5.
if(NOT TARGET parley::msgpack)
  find_package(msgpack-cxx QUIET)
  if(NOT msgpack-cxx_FOUND)
    find_dependency(msgpack)
  endif()
  add_library(parley::msgpack INTERFACE IMPORTED)
  if(TARGET msgpack-cxx)
    target_link_libraries(parley::msgpack INTERFACE msgpack-cxx)
  else()
    target_link_libraries(parley::msgpack INTERFACE msgpackc-cxx)
  endif()
  # The core must build where Boost is not installed.
  target_compile_definitions(parley::msgpack INTERFACE MSGPACK_NO_BOOST)
endif()
