errata_add_tests(integration LABEL integration TIMEOUT 900 LIBRARIES errata::base SOURCES
  integration/batches_test.cpp
  integration/datasets_test.cpp
  integration/pipeline_test.cpp
  integration/solved_test.cpp
  integration/store_example_test.cpp
  integration/sweep_test.cpp
  integration/undo_test.cpp
  support/tiny_world.cpp)
add_dependencies(integration_tests errata)
