# SPDX-License-Identifier: MPL-2.0
# Runs PROGRAM; fails unless it ends well and prints just what the file EXPECTED holds.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE code TIMEOUT 50)
file(READ ${EXPECTED} expected)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "it ended with ${code}, after printing:\n${printed}")
endif()
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "it printed:\n${printed}\nexpected:\n${expected}")
endif()
