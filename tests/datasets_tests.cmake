errata_add_tests(datasets LIBRARIES errata::datasets SOURCES
  datasets/factbook_intervals_test.cpp
  datasets/readers_test.cpp)
