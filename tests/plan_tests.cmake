errata_add_tests(plan LIBRARIES errata::plan SOURCES
  editing/plan_batches_test.cpp
  editing/plan_edit_plan_test.cpp
  editing/plan_leave_out_test.cpp
  editing/plan_multihop_test.cpp
  editing/plan_open_questions_test.cpp
  editing/plan_peer_data_test.cpp
  editing/plan_requests_test.cpp
  editing/plan_split_test.cpp
  editing/plan_store_test.cpp
  editing/plan_support.cpp
  editing/plan_wordings_test.cpp
  editing/plan_world_test.cpp)
