# Writes OUTPUT, a header with the commit that is being built; an unchanged commit leaves the file
# alone, so that nothing is compiled again.
set(commit "unknown")
execute_process(COMMAND git --no-optional-locks -C "${ROOT}" rev-parse --short=12 HEAD
                OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE
                RESULT_VARIABLE failed ERROR_QUIET)
if(failed EQUAL 0)
  set(commit "${head}")
  execute_process(COMMAND git --no-optional-locks -C "${ROOT}" diff --quiet HEAD RESULT_VARIABLE changed ERROR_QUIET)
  if(NOT changed EQUAL 0)
    string(APPEND commit "+changes")
  endif()
endif()
set(text "#pragma once\n\n#define ERRATA_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT text STREQUAL old)
  file(WRITE "${OUTPUT}" "${text}")
endif()
