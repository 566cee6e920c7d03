#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "editing/plan/document.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace errata::editing {

/// Text that the base writes by itself, `count` samples of up to 64 tokens at temperature 1 from
/// its BOS (without one: the token that ends a text): data-free statistics, as of 2305.17888
/// (section 3.1, all tokens sampled). For edits that come without anything that must stay. Samples
/// that say nothing are left out; none at all is `kInvalidArgument`. The same model and seed give
/// the same.
std::vector<Document> own_text(
    Decoder& base,
    const Tokenizer& tokenizer,
    const std::vector<std::int64_t>& eos,
    std::size_t count,
    std::uint64_t seed,
    const ProgressCallback& progress = {});

/// Tokens of these documents.
std::int64_t count_tokens(const std::vector<Document>& documents, const Tokenizer& tokenizer);

} // namespace errata::editing
