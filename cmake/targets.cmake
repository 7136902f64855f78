# SPDX-License-Identifier: MPL-2.0
# The few words that the module lists are written in.

# Warnings are ours to fix, so only our own build asks for them.
function(parley_warnings target)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
    # g++ 12 loses sight of which member of a union is set once the sanitizers' calls stand between,
    # and warns of frames, messages and std::optional. Without sanitizers the warning stays on.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS_DEBUG MATCHES "-fsanitize=")
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
endfunction()

# parley_module(NAME SOURCES ... HEADERS ... LINKS ...): the library parley::NAME, whose public
# headers are a FILE_SET under include/ and are each compiled alone.
function(parley_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS;LINKS" ${ARGN})
  add_library(parley_${name} ${arg_SOURCES})
  add_library(parley::${name} ALIAS parley_${name})
  set_target_properties(parley_${name} PROPERTIES EXPORT_NAME ${name}
                        VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL}
                        POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
  target_compile_features(parley_${name} PUBLIC cxx_std_20)
  target_sources(parley_${name} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  target_include_directories(parley_${name} PRIVATE src)
  target_link_libraries(parley_${name} PUBLIC ${arg_LINKS})
  parley_warnings(parley_${name})
  set_property(GLOBAL APPEND PROPERTY PARLEY_MODULES parley_${name})
endfunction()

# parley_program(NAME SOURCES ... LINKS ...): an executable of ours that is not a test.
function(parley_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  parley_warnings(${name})
endfunction()
