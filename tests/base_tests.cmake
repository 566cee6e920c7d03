errata_add_tests(base LIBRARIES errata::base SOURCES
  core/base/date_test.cpp
  core/base/did_you_mean_test.cpp
  core/base/error_test.cpp
  core/base/files_test.cpp
  core/base/hash_test.cpp
  core/base/json_test.cpp
  core/base/random_test.cpp)
