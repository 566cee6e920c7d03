#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/generation.h"

#include <cstdint>
#include <vector>

namespace errata {

struct TokenScore {
  double logprob = 0;  ///< log p(token i | tokens before), float32 log-softmax
  bool argmax = false; ///< the token is the model's first choice
};

/// Scores tokens [first, size) of each sequence; entry k belongs to token first + k. `first` >= 1.
/// Logits are computed at those positions only.
std::vector<std::vector<TokenScore>> score_tokens(
    Decoder& model,
    const std::vector<Tokens>& sequences,
    const std::vector<std::int64_t>& first,
    const ProgressCallback& progress = {});

/// The `top` most probable next tokens after each position of one sequence:
/// (token, logprob) pairs, best first.
std::vector<std::vector<std::pair<std::int32_t, double>>> top_tokens(
    Decoder& model, const Tokens& sequence, std::int64_t top);

} // namespace errata
