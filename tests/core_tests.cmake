errata_add_tests(core TORCH LIBRARIES errata::core SOURCES
  core/cuda_test.cpp
  core/decoder_test.cpp
  core/gated_activation_test.cpp
  core/generation_test.cpp
  core/kernels_test.cpp
  core/griffin_test.cpp
  core/kv_cache_test.cpp
  core/linear_scan_test.cpp
  core/packed_attention_short_test.cpp
  core/packed_attention_test.cpp
  core/packed_batch_test.cpp
  core/product_test.cpp
  core/parallel_rows_test.cpp
  core/rms_norm_test.cpp
  core/rope_test.cpp
  core/sampling_test.cpp
  core/scoring_test.cpp)
