# Fuzz targets need Clang's libFuzzer; `./test.sh fuzz` builds them by themselves.
option(ERRATA_BUILD_FUZZERS "Build the fuzz targets (Clang)" OFF)
if(ERRATA_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "ERRATA_BUILD_FUZZERS needs Clang; set CMAKE_CXX_COMPILER to clang++")
  endif()
  # Everything under test is compiled again with the fuzzer's counters.
  get_target_property(base_sources errata_base SOURCES)
  get_target_property(dataset_sources errata_datasets SOURCES)
  list(TRANSFORM base_sources PREPEND "${PROJECT_SOURCE_DIR}/core/")
  list(TRANSFORM dataset_sources PREPEND "${PROJECT_SOURCE_DIR}/datasets/")
  add_executable(fuzz_import fuzz/fuzz_import.cpp ${base_sources} ${dataset_sources})
  target_include_directories(fuzz_import PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(
    fuzz_import PRIVATE ERRATA_FACTBOOK_SOURCE="${PROJECT_SOURCE_DIR}/datasets/factbook"
                        ERRATA_FACTBOOK_INSTALLED="")
  target_compile_options(fuzz_import PRIVATE -O1 -g -fsanitize=fuzzer,address,undefined
                                             -fno-sanitize-recover=all)
  target_link_options(fuzz_import PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(fuzz_import PRIVATE nlohmann_json::nlohmann_json OpenSSL::Crypto yaml-cpp)
endif()
