#include "editing/example.h"

#include "core/base/error.h"

#include <algorithm>

namespace errata::editing {

TrainExample make_example(
    const Document& document, const Tokenizer& tokenizer, bool* boundary_merge) {
  ERRATA_CHECK(
      tokenizer.eos() >= 0,
      ErrorCode::kUnsupported,
      "the tokenizer has no end-of-sequence token; training needs one so that answers end");
  ERRATA_CHECK(
      !document.completion.empty(),
      ErrorCode::kInvalidArgument,
      "the text '",
      document.prompt,
      "' has no completion to learn");
  const std::vector<std::int32_t> prompt = tokenizer.encode_prompt(document.prompt);
  TrainExample example;
  example.rehearsal = document.rehearsal;
  example.distilled = document.distilled;
  example.tokens = tokenizer.encode_prompt(document.prompt + document.completion);
  const bool continues = example.tokens.size() > prompt.size() &&
                         std::equal(prompt.begin(), prompt.end(), example.tokens.begin());
  if (!continues) {
    const std::vector<std::int32_t> completion = tokenizer.encode(document.completion);
    example.tokens = prompt;
    example.tokens.insert(example.tokens.end(), completion.begin(), completion.end());
  }
  if (boundary_merge != nullptr) {
    *boundary_merge = !continues;
  }
  example.tokens.push_back(tokenizer.eos());
  // Without BOS and prompt the first token has nothing before it that could predict it.
  example.first_label = std::max<std::int64_t>(1, static_cast<std::int64_t>(prompt.size()));
  return example;
}

std::vector<TrainExample> make_examples(
    const std::vector<Document>& documents, const Tokenizer& tokenizer) {
  std::vector<TrainExample> examples;
  examples.reserve(documents.size());
  for (const Document& document : documents) {
    examples.push_back(make_example(document, tokenizer));
  }
  return examples;
}

TrainExample DocumentExamples::next() {
  return make_example(documents_.next(), tokenizer_);
}

} // namespace errata::editing
