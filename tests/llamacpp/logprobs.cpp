// Prints, as JSON, the log-probability that llama.cpp gives to each token but the first:
//
//     llama_logprobs MODEL.gguf ADAPTER.gguf|none SCALE TOKEN TOKEN...
//
// Everything in float32: the comparison is of adapters, not of caches.

#include "llama.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

void log_problems(ggml_log_level level, const char* text, void* /*data*/) {
  if (level >= GGML_LOG_LEVEL_WARN) {
    std::fputs(text, stderr);
  }
}

int fail(const char* what) {
  std::fprintf(stderr, "llama_logprobs: %s\n", what);
  return 1;
}

double log_probability(const float* logits, int count, llama_token token) {
  double largest = logits[0];
  for (int i = 1; i < count; ++i) {
    largest = std::fmax(largest, logits[i]);
  }
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += std::exp(logits[i] - largest);
  }
  return logits[token] - largest - std::log(sum);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    return fail("usage: llama_logprobs MODEL ADAPTER|none SCALE TOKEN TOKEN...");
  }
  std::vector<llama_token> tokens;
  for (int i = 4; i < argc; ++i) {
    tokens.push_back(std::atoi(argv[i]));
  }
  const auto count = static_cast<int32_t>(tokens.size());
  llama_log_set(log_problems, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) {
    return fail("cannot load the model");
  }
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = 128;
  parameters.n_batch = 128;
  parameters.n_ubatch = 128;
  parameters.n_threads = 1;
  parameters.n_threads_batch = 1;
  parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  parameters.type_k = GGML_TYPE_F32;
  parameters.type_v = GGML_TYPE_F32;
  llama_context* context = llama_init_from_model(model, parameters);
  if (context == nullptr) {
    return fail("cannot make a context");
  }
  if (std::strcmp(argv[2], "none") != 0) {
    llama_adapter_lora* adapter = llama_adapter_lora_init(model, argv[2]);
    if (adapter == nullptr) {
      return fail("cannot load the adapter");
    }
    float scale = std::strtof(argv[3], nullptr);
    if (llama_set_adapters_lora(context, &adapter, 1, &scale) != 0) {
      return fail("cannot set the adapter");
    }
  }
  llama_batch batch = llama_batch_init(count, 0, 1);
  for (int32_t i = 0; i < count; ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = count;
  if (llama_decode(context, batch) != 0) {
    return fail("cannot decode");
  }
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  std::printf("[");
  for (int32_t i = 0; i + 1 < count; ++i) {
    const double value =
        log_probability(llama_get_logits_ith(context, i), vocabulary, tokens[i + 1]);
    std::printf("%s%.9g", i == 0 ? "" : ", ", value);
  }
  std::printf("]\n");
  llama_batch_free(batch);
  llama_free(context);
  llama_model_free(model);
  return 0;
}
