#include "editing/own_text.h"

#include "core/base/error.h"
#include "core/generation.h"

#include <algorithm>

namespace errata::editing {
namespace {

constexpr std::int64_t kLongest = 64;

// Up to the first token that the tokenizer lacks: tables of models are often padded beyond it.
Tokens readable(Tokens tokens, const Tokenizer& tokenizer) {
  const auto end = std::find_if(
      tokens.begin(), tokens.end(), [&](auto id) { return id >= tokenizer.vocab_size(); });
  tokens.erase(end, tokens.end());
  return tokens;
}

} // namespace

std::vector<Document> own_text(
    Decoder& base,
    const Tokenizer& tokenizer,
    const std::vector<std::int64_t>& eos,
    std::size_t count,
    std::uint64_t seed,
    const ProgressCallback& progress) {
  Tokens start = tokenizer.encode_prompt("");
  if (start.empty()) {
    start.push_back(eos.empty() ? 0 : static_cast<Tokens::value_type>(eos.front()));
  }
  GenerationOptions options;
  options.max_new_tokens = kLongest;
  options.temperature = 1.0;
  options.seed = seed;
  options.eos = eos;
  std::vector<Document> documents;
  for (const Generation& sample :
       generate(base, std::vector<Tokens>(count, start), options, progress)) {
    std::string text = tokenizer.decode(readable(sample.tokens, tokenizer));
    if (text.find_first_not_of(" \t\r\n") != std::string::npos) {
      documents.push_back({"", std::move(text), "own text", true});
    }
  }
  ERRATA_CHECK(
      !documents.empty(),
      ErrorCode::kInvalidArgument,
      "the base writes no text of its own to be measured; give --stats-text FILE, or --null-space "
      "0");
  return documents;
}

std::int64_t count_tokens(const std::vector<Document>& documents, const Tokenizer& tokenizer) {
  std::int64_t tokens = 0;
  for (const Document& document : documents) {
    tokens += static_cast<std::int64_t>(
        tokenizer.encode_prompt(document.prompt + document.completion).size());
  }
  return tokens;
}

} // namespace errata::editing
