errata_add_tests(eval TORCH LIBRARIES errata::eval SOURCES
  eval/evaluate_test.cpp
  eval/make_tasks_test.cpp
  eval/measure_test.cpp
  eval/normalise_test.cpp
  eval/output_cache_test.cpp
  eval/protocol_test.cpp
  eval/report_test.cpp
  eval/results_test.cpp
  eval/statistics_test.cpp
  eval/sweep_summary_test.cpp)
