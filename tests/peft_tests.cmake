errata_add_tests(peft TORCH LIBRARIES errata::peft SOURCES
  peft/adalora_test.cpp
  peft/adapter_hub_test.cpp
  peft/adapter_types_test.cpp
  peft/attach_test.cpp
  peft/combine_test.cpp
  peft/export_test.cpp
  peft/gguf_adapter_test.cpp
  peft/gguf_file_test.cpp
  peft/gpt2_test.cpp
  peft/kept_values_test.cpp
  peft/lora_function_test.cpp
  peft/mlx_adapter_test.cpp
  peft/module_paths_test.cpp
  peft/prompts_test.cpp
  peft/routing_test.cpp
  peft/shared_pass_test.cpp
  peft/save_load_test.cpp
  peft/select_test.cpp
  peft/trained_parameters_test.cpp
  peft/trained_parameters_use_test.cpp)

errata_add_tests(peft_interop TORCH LABEL interop TIMEOUT 1800 LIBRARIES errata::peft SOURCES
  peft/formats_interop_test.cpp
  peft/p_tuning_interop_test.cpp
  peft/peft_families_interop_test.cpp
  peft/peft_interop_test.cpp
  peft/peft_tables_interop_test.cpp)

errata_add_tests(export_command TORCH LABEL integration LIBRARIES errata::cli SOURCES
  cli/adapters_test.cpp
  cli/export_test.cpp)

errata_add_tests(llamacpp TORCH LABEL llamacpp TIMEOUT 1200 LIBRARIES errata::cli SOURCES
  llamacpp/chat_format_test.cpp
  llamacpp/llamacpp_test.cpp)
