#pragma once

#include "core/base/random.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace errata::editing {

/// One training text: BOS, prompt, completion, end of sequence. The loss covers completion and end.
struct Document {
  std::string prompt;     ///< "Question: What is the capital of Italy?\nAnswer:"
  std::string completion; ///< " Rome"
  std::string kind;       ///< which part of the mixture it belongs to: "edit.question"
  /// Rehearsal: the loss may also hold the model to the base's own distribution (KL).
  bool rehearsal = false;
  /// The base said it: the loss is the distance from the base's own distribution (distillation).
  bool distilled = false;
};

using SharedDocuments = std::shared_ptr<const std::vector<Document>>;

/// An endless, deterministic sequence of documents: the same seed gives the same documents, so a
/// position is all that a checkpoint needs.
class DocumentStream {
 public:
  virtual ~DocumentStream() = default;
  virtual Document next() = 0;
};

} // namespace errata::editing
