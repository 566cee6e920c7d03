#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace errata {

struct TokenizerTrainingOptions {
  std::int64_t vocab_size = 4096;     ///< at most: little text has fewer pieces
  double character_coverage = 0.9999; ///< rarer characters are spelt in bytes
  std::int64_t max_line_bytes = 8000; ///< longer lines are left out
};

/// Trains a SentencePiece BPE vocabulary in Gemma's conventions on `texts` (split at line ends): no
/// dummy prefix, no normalisation, digits one by one, byte fallback, <pad> 0, <eos> 1, <bos> 2,
/// <unk> 3, and <start_of_turn>, <end_of_turn> and the line end as symbols of their own. Writes
/// `<directory>/tokenizer.model`, and tokenizer.json and tokenizer_config.json with which
/// transformers loads it as a GemmaTokenizer. The same texts give the same bytes.
///
/// `kInvalidArgument` when there is no text, or more symbols than pieces.
void train_tokenizer(
    const std::vector<std::string>& texts,
    const TokenizerTrainingOptions& options,
    const std::filesystem::path& directory);

} // namespace errata
