#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "editing/plan/document.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::editing {

/// What the base itself says to `prompts`, one sample each at temperature 1, as rehearsal
/// documents: pseudo-rehearsal with the model's own answers (Robins 1995; for language models
/// 1909.03329, 2403.01244). Answers that do not end by themselves, or say nothing, are left out.
/// The same model, prompts and seed give the same documents.
std::vector<Document> echo_documents(
    Decoder& base,
    const Tokenizer& tokenizer,
    const std::vector<std::int64_t>& eos,
    const std::vector<std::string>& prompts,
    std::uint64_t seed,
    const ProgressCallback& progress = {});

} // namespace errata::editing
