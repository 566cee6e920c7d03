#pragma once

#include "editing/plan/document.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace errata::editing {

/// The paragraphs of text files, what stands between blank lines; long ones are cut at a space. A
/// file that cannot be read is `kNotFound` or `kIo`, one without a word `kCorrupt`.
std::vector<Document> read_paragraphs(const std::vector<std::string>& files);

/// `documents`, of which there is one at least, in a new random order each round.
std::unique_ptr<DocumentStream> shuffled(SharedDocuments documents, std::uint64_t seed);

} // namespace errata::editing
