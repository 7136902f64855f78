# SPDX-License-Identifier: MPL-2.0

# parley_tests(MODULE SOURCES ... LINKS ...): the Catch2 program test_MODULE. Tests may see the
# module's own src/.
function(parley_tests module)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(test_${module} ${arg_SOURCES})
  set_target_properties(test_${module} PROPERTIES CXX_EXTENSIONS OFF)
  target_include_directories(test_${module} PRIVATE ${PROJECT_SOURCE_DIR}/${module}/src
                                                    ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(test_${module} PRIVATE ${arg_LINKS} parley_catch)
  target_precompile_headers(test_${module} REUSE_FROM parley_catch)
  parley_warnings(test_${module})
  catch_discover_tests(test_${module} TEST_PREFIX "${module}:" PROPERTIES TIMEOUT 300)
endfunction()
