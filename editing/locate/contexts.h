#pragma once

#include "core/decoder.h"
#include "core/tokenizer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::editing {

/// Texts to put before a prompt, so that what is written holds wherever it is asked: `count`
/// beginnings of ten tokens that the model says after "The", "Therefore", "Because", "I" and "You",
/// sampled from its five likeliest tokens, each with ". " at its end (2210.07229).
std::vector<std::string> sample_contexts(
    Decoder& model, const Tokenizer& tokenizer, std::int64_t count, std::uint64_t seed);

} // namespace errata::editing
