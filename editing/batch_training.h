#pragma once

#include "editing/editor.h"
#include "editing/plan/batches.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/wordings.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace errata::editing {

/// What `plan` gives an editor to learn from. Keeps references to plan, wordings and tokenizer.
EditInput make_edit_input(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& augment,
    const Tokenizer& tokenizer,
    std::uint64_t seed,
    SharedDocuments echo);

/// A difference of two days that is written batch after batch.
struct BatchSequence {
  const Knowledge& knowledge;
  const Wordings& wordings;
  AugmentOptions augment;
  PlanOptions plan;
  std::vector<BatchSpan> spans;
  SharedDocuments echo; ///< of the base, for every batch
  /// The edits between two days: the store's.
  std::function<std::vector<datasets::Edit>(const Date& from, const Date& to)> difference;
};

/// Trains one LoRA on all batches, each on the model with what the batches before it have written:
/// what changed is learnt, what holds at that time is rehearsed, what the batch does not need is
/// pulled back to where the batch began. Steps are parts of `options.steps` (`batch_steps`).
/// Checkpoints and resuming are those of `Editor::edit`, within a batch and between two. Another
/// method than lora, and KL to a base that lacks the earlier batches, are `kUnsupported`.
EditResult edit_in_batches(
    Decoder& model,
    const Tokenizer& tokenizer,
    const BatchSequence& sequence,
    const EditorOptions& options,
    const ProgressCallback& progress = {});

} // namespace errata::editing
