errata_add_tests(datasets LIBRARIES errata::datasets SOURCES
  datasets/exporters_test.cpp
  datasets/fact_importers_test.cpp
  datasets/factbook_intervals_test.cpp
  datasets/hostile_input_test.cpp
  datasets/importers_test.cpp
  datasets/intervals_test.cpp
  datasets/real_data_test.cpp
  datasets/readers_test.cpp)
