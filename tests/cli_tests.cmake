errata_add_tests(cli TORCH LIBRARIES errata::cli SOURCES
  cli/edit_batch_help_test.cpp
  cli/sweep_plan_test.cpp)
