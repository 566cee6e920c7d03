#pragma once

#include "core/base/random.h"
#include "core/generation.h"
#include "core/torch.h"

#include <cstdint>
#include <span>
#include <vector>

namespace errata {

/// Draws one token from logits by `temperature` (> 0), then `top_k`, `top_p` and `min_p`, in this
/// order, as transformers does. Ties go to the lower id.
std::int32_t sample_token(
    std::span<const float> logits, const GenerationOptions& options, Random& random);

/// Of logits [rows, vocab], in any dtype, the place of the largest of each row, the first of equal
/// ones.
std::vector<std::int32_t> largest_of_rows(const torch::Tensor& logits);

/// `repetition_penalty` on the logits of the tokens `seen`, each once.
void penalise_repetition(std::span<float> logits, const Tokens& seen, double penalty);

/// The random stream of prompt `index`: the same whatever prompts stand beside it in a batch.
Random prompt_stream(std::uint64_t seed, std::size_t index);

} // namespace errata
