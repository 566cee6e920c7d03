#pragma once

#include "peft/adapter_types.h"

namespace errata::peft {

/// Prompt tuning (2104.08691): PEFT's PROMPT_TUNING. Vectors in front of the token vectors.
const AdapterType& prompt_tuning_type();

/// P-tuning (2103.10385): PEFT's P_TUNING. The vectors come from a perceptron, or from an LSTM and
/// a perceptron, while they are trained; only they are kept.
const AdapterType& p_tuning_type();

/// What prompts and prefixes of every type have in their config.
inline constexpr const char* kPromptTensor = "prompt_embeddings";
void check_prompt(const AdapterConfig& config);
void read_prompt(const ConfigFile& file, AdapterConfig& config);
void write_prompt(const AdapterConfig& config, OrderedJson& json);

/// The tokens that a prompt starts from, `num_virtual_tokens` of them.
std::vector<std::int64_t> start_tokens(
    const AdapterConfig& config, std::int64_t vocab_size, torch::Generator& generator);

} // namespace errata::peft
