errata_add_tests(plan LIBRARIES errata::plan SOURCES
  editing/plan_split_test.cpp
  editing/plan_support.cpp)
