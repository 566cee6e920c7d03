#pragma once

#include "cli/edit_batch.h"
#include "core/model.h"
#include "editing/batch_training.h"
#include "editing/editor.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/knowledge.h"
#include "editing/plan/leave_out.h"
#include "editing/plan/wordings.h"
#include "editing/store/edit_store.h"
#include "eval/task.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace errata::cli {

/// Everything about a batch of edits that needs no model. Not copied or moved: streams refer to it.
struct EditSetup {
  std::optional<editing::EditStore> store;
  std::string source_hash; ///< of the store's content or of the edits file
  editing::Knowledge knowledge;
  editing::LeftOut left_out;               ///< --without; the knowledge is without them already
  editing::EditPlan plan;                  ///< of the whole difference
  std::vector<editing::BatchSpan> batches; ///< --batches: what it is cut into; else empty
  std::unique_ptr<editing::Wordings> wordings;
  editing::AugmentOptions augment;
  editing::EditorOptions editor;

  /// --stats-text: what must stay, for what measures it; null: the store or the base says it.
  editing::SharedDocuments stats_text;
  std::vector<std::string> stats_text_sha256; ///< of each of its files

  std::string set; ///< name of the set that the edits are, or empty

  /// The store's difference of two days, but for what is left out.
  std::vector<datasets::Edit> difference(const Date& from, const Date& to) const {
    return left_out.rest(store->diff(from, to));
  }

  bool given_outright() const { return !plan.explicit_edits.empty(); }
  /// No unchanged facts that might be trained on or measured.
  bool rehearses_nothing() const {
    return plan.rehearsed.empty() && plan.rehearsed_inverse.empty();
  }
  /// An adapter for which the inputs of what must stay are measured.
  bool measures_inputs() const { return editor.null_space > 0 || editor.init == "eva"; }
};

/// Checks the options against each other, reads the edits and makes the plan. An empty difference
/// is `kInvalidArgument`.
std::unique_ptr<EditSetup> prepare_edits(const EditBatchOptions& options, std::uint64_t seed);

/// The questions of the evaluation.
std::vector<eval::Task> edit_tasks(const EditSetup& setup, const EditBatchOptions& options);

/// The resolved options of the run: what must be equal for a resume.
nlohmann::ordered_json resolved_options(
    const EditSetup& setup, const EditBatchOptions& options, const CommonOptions& common);

/// Days, edits and steps of the batches.
nlohmann::ordered_json batches_json(const EditSetup& setup);

/// The plan for people: edits by relation, texts, what is held out.
std::string plan_text(const EditSetup& setup);

} // namespace errata::cli
