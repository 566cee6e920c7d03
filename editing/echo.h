#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "editing/plan/document.h"
#include "editing/plan/open_questions.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace errata::editing {

/// What the base itself says to `count` open questions, one sample each at temperature 1, as
/// rehearsal documents: pseudo-rehearsal with the model's own answers (Robins 1995; for language
/// models 1909.03329, 2403.01244). Each is distilled: a sample says little about all that the base
/// would have said, its distributions on the way say it. Left out are answers that do not end by
/// themselves or say nothing, and documents that name both ends of a fact held out. The same model,
/// questions and seed give the same documents.
std::vector<Document> echo_documents(
    Decoder& base,
    const Tokenizer& tokenizer,
    const std::vector<std::int64_t>& eos,
    const OpenQuestions& open,
    std::size_t count,
    std::uint64_t seed,
    const ProgressCallback& progress = {});

} // namespace errata::editing
