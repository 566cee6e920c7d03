errata_add_tests(model_files TORCH LIBRARIES errata::core SOURCES
  core/bpe_test.cpp
  core/device_test.cpp
  core/gpt_config_test.cpp
  core/llama_config_test.cpp
  core/model_config_test.cpp
  core/model_test.cpp
  core/safetensors_test.cpp
  core/token_steps_test.cpp
  core/tokenizer_test.cpp)
errata_add_tests(model_commands TORCH LABEL integration LIBRARIES errata::cli SOURCES
  cli/chat_format_test.cpp
  cli/generate_command_test.cpp
  cli/model_commands_test.cpp
  cli/text_stream_test.cpp)
# transformers needs some seconds to start, and builds two dozen checkpoints.
errata_add_tests(model_interop TORCH LABEL interop TIMEOUT 600 LIBRARIES errata::cli SOURCES
  interop/families_test.cpp
  interop/family_commands_test.cpp
  interop/lab_model_test.cpp
  interop/tokenizer_test.cpp)
