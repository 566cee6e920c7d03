errata_add_tests(peft TORCH LIBRARIES errata::peft SOURCES
  peft/attach_test.cpp
  peft/lora_function_test.cpp
  peft/save_load_test.cpp
  peft/select_test.cpp)
