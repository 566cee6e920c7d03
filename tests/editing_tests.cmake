errata_add_tests(editing TORCH LIBRARIES errata::editing SOURCES
  editing/echo_test.cpp
  editing/edit_session_test.cpp
  editing/editor_options_test.cpp
  editing/editor_test.cpp
  editing/eva_test.cpp
  editing/example_test.cpp
  editing/locate/closed_form_test.cpp
  editing/locate/goldens_test.cpp
  editing/locate/locate_editor_test.cpp
  editing/locate/located_prompt_test.cpp
  editing/null_space_test.cpp
  editing/own_text_test.cpp)

errata_add_tests(editing_interop TORCH LABEL interop TIMEOUT 600 LIBRARIES errata::editing SOURCES
  editing/eva_interop_test.cpp)
