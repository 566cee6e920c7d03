#pragma once

// Fields of config.json that several families have, with the checks of their values. For the
// families' own files only (gemma3_config.cpp, llama_config.cpp).

#include "core/base/json.h"
#include "core/decoder_config.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace errata {

// Larger than any model, and small enough that no product of a tensor's sizes leaves 63 bits.
inline constexpr std::int64_t kLargestCount = std::int64_t{1} << 30; // vocabulary, positions
inline constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;
inline constexpr std::int64_t kLargestOfHeads = std::int64_t{1} << 16; // their number, their size
inline constexpr std::int64_t kMostLayers = 10'000;

inline constexpr const char* kSlidingLayer = "sliding_attention";
inline constexpr const char* kFullLayer = "full_attention";

/// A required whole number from 1 to `largest`; `kCorrupt` otherwise.
std::int64_t required_size(
    const JsonFields& config, const char* name, std::int64_t largest = kLargestSize);
std::int64_t optional_size(
    const JsonFields& config,
    const char* name,
    std::int64_t fallback,
    std::int64_t largest = kLargestCount);
/// A positive finite number, `fallback` where it is missing.
double positive_number(const JsonFields& config, const char* name, double fallback);
double required_positive(const JsonFields& config, const char* name);

/// Heads and their size: `num_attention_heads` (or `heads`), `num_key_value_heads` (`kv_heads`; as
/// many as heads where null, and where missing and `kv_heads` is 0), `head_dim` (`head_dim`;
/// hidden_size / heads where null, and where missing and `head_dim` is 0).
struct HeadDefaults {
  std::int64_t heads = 0; ///< 0: required
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
};
void parse_heads(const JsonFields& config, const HeadDefaults& defaults, DecoderConfig& result);

/// The value of `hidden_activation`, else of `hidden_act`. `gelu_is_tanh`: old Gemma files say
/// "gelu" and mean its tanh form; elsewhere it is the exact one, which is `kUnsupported`.
Activation parse_activation(const JsonFields& config, const char* fallback, bool gelu_is_tanh);

/// Puts type and factors of one set of RoPE fields (`rope_type` or `type`) on top of `rope`:
/// default, linear, llama3, yarn and dynamic. `max_positions` stands in for a missing
/// `original_max_position_embeddings`. Another type is `kUnsupported`.
void apply_rope_scaling(const JsonFields& fields, std::int64_t max_positions, RopeConfig& rope);

/// Whether each of `count` layers sees everything, from `layer_types`; empty where the file has
/// none.
std::vector<bool> parse_layer_types(const JsonFields& config, std::int64_t count);

/// `kUnsupported` when any of `names` is set to something else than null and false.
void refuse_set(const JsonFields& config, std::initializer_list<const char*> names);

} // namespace errata
