# SPDX-License-Identifier: MPL-2.0
# Debian's own Python comes first: its packages bring the foreign libraries that tests talk to.
find_program(PARLEY_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(PARLEY_PYTHON python3 REQUIRED)

# parley_python_tests(MODULE FILES file... [ENVIRONMENT NAME=value...]): each method test_… of the
# class Test in each file is a ctest of its own.
function(parley_python_tests module)
  cmake_parse_arguments(arg "" "" "FILES;ENVIRONMENT" ${ARGN})
  foreach(file ${arg_FILES})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(STRINGS ${file} methods REGEX "^    def test_")
    foreach(line ${methods})
      string(REGEX REPLACE "^    def (test_[a-z0-9_]+).*" "\\1" method "${line}")
      string(REGEX REPLACE "^test_" "" sentence ${method})
      string(REPLACE "_" " " sentence ${sentence})
      set(test "${module}:${sentence}")
      add_test(NAME ${test}
        COMMAND ${PARLEY_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${file} Test.${method})
      set_tests_properties(${test} PROPERTIES TIMEOUT 300)
      set_property(TEST ${test} PROPERTY ENVIRONMENT
        PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support
        PARLEY_PROGRAM=$<TARGET_FILE:parley_program> ${arg_ENVIRONMENT})
    endforeach()
  endforeach()
endfunction()
