errata_add_tests(editing TORCH LIBRARIES errata::editing SOURCES
  editing/echo_test.cpp
  editing/edit_session_test.cpp
  editing/editor_test.cpp
  editing/example_test.cpp
  editing/null_space_test.cpp)
