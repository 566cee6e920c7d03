#pragma once

#include "editing/plan/document.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/wordings.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

/// What edit documents are made of besides the edits' own prompts (`--augment`).
struct AugmentOptions {
  bool statement = true;        ///< the edits as statements, loss on the object
  bool question = true;         ///< in the training wordings of their questions
  bool inverse = true;          ///< new facts from object to subject
  bool reasoning = true;        ///< the edits as one step of reasoning
  bool ripple = true;           ///< multi-hop questions through the edits
  bool dated = true;            ///< who held the slot in past years
  bool rehearsal = true;        ///< unchanged facts
  bool near = true;             ///< more of them near the edits; only with `rehearsal`
  bool echo = true;             ///< the base's own answers to open questions
  double rehearsal_ratio = 1.8; ///< rehearsal (and dated) documents per edit document
  double ripple_ratio = 0.75;   ///< ripple documents per edit document
  double echo_ratio = 0.8;      ///< echo documents per edit document

  /// Nothing but the edits' own prompts.
  static AugmentOptions none();
  bool is_none() const noexcept;
};

/// Reads `"statement,question,ripple"`, `"all"` or `"none"`; an unknown word is `kInvalidArgument`
/// and names the known ones. The ratios keep their defaults.
AugmentOptions parse_augment(std::string_view list);
/// The list that `parse_augment` reads back.
std::string to_string(const AugmentOptions& options);

/// The edits' own prompts, each once and in a fixed order: what `--augment none` trains on, an
/// epoch at a time. A slot's own prompt is its first training question.
std::vector<Document> edit_examples(const EditPlan& plan, const Wordings& wordings);

/// The document of an edit given outright: between its prompt, which somebody else wrote, and its
/// target is one space.
Document explicit_document(const datasets::ExplicitEdit& edit);

/// The base's own answers to open questions (`echo_documents`); null or empty for none.

/// An endless mixture of documents about the edits. Within a kind every fact comes equally often
/// (drawn without replacement). With `AugmentOptions::none()` the stream repeats `edit_examples`
/// in a new order each round. Keeps references to plan and wordings.
std::unique_ptr<DocumentStream> edit_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed,
    SharedDocuments echo = nullptr);

/// An endless stream of what is not to change alone, rehearsal and echo, in the same proportions:
/// for statistics of the layers' inputs (null space).
std::unique_ptr<DocumentStream> rehearsal_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed,
    SharedDocuments echo = nullptr);

} // namespace errata::editing
