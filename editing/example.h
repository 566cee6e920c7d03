#pragma once

#include "core/tokenizer.h"
#include "core/train_example.h"
#include "editing/plan/document.h"

#include <cstdint>
#include <vector>

namespace errata::editing {

/// A document as tokens: BOS where the family has one, prompt, completion, end of sequence; the
/// loss starts with the completion.
///
/// Prompt and completion are tokenised together, so that the text reads as it would in use, and the
/// boundary is that of the prompt alone. Where a token spans the boundary the two are tokenised
/// apart instead, and `boundary_merge` (if given) is set. A tokenizer without an end token is
/// `kUnsupported`: a model trained without it does not stop.
TrainExample make_example(
    const Document& document, const Tokenizer& tokenizer, bool* boundary_merge = nullptr);

std::vector<TrainExample> make_examples(
    const std::vector<Document>& documents, const Tokenizer& tokenizer);

/// A stream of documents as a stream of examples. Both references must outlive it.
class DocumentExamples final : public ExampleSource {
 public:
  DocumentExamples(DocumentStream& documents, const Tokenizer& tokenizer)
      : documents_(documents), tokenizer_(tokenizer) {}

  TrainExample next() override;

 private:
  DocumentStream& documents_;
  const Tokenizer& tokenizer_;
};

} // namespace errata::editing
