#pragma once

#include "core/added_tokens.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace errata {

/// A piece of a BPE vocabulary; its place in the list is its id.
struct VocabularyPiece {
  std::string text;
  bool merged = false; ///< made of two others, as opposed to bytes and symbols
};

/// A SentencePiece BPE vocabulary in Gemma's conventions as tokenizer.json (Hugging Face
/// tokenizers), which gives the same ids without SentencePiece: pieces are merged in the order of
/// their ids. `bos` is put in front of a text.
nlohmann::ordered_json tokenizer_json(
    const std::vector<VocabularyPiece>& pieces,
    const std::vector<AddedToken>& added,
    const std::string& unknown,
    const AddedToken& bos);

} // namespace errata
