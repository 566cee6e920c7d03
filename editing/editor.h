#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "core/trainer.h"
#include "editing/editor_options.h"
#include "editing/plan/document.h"
#include "editing/plan/edit_requests.h"
#include "peft/adapter.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace errata::editing {

using OpenStream = std::function<std::unique_ptr<DocumentStream>()>;
/// The edits in up to so many wordings each.
using ListRequests = std::function<std::vector<EditRequest>(std::size_t wordings)>;

/// What an editor learns from. All edits of a batch are learnt together.
struct EditInput {
  const Tokenizer& tokenizer;
  OpenStream documents;                 ///< the mixture, from its start; for `steps`
  std::vector<Document> documents_once; ///< a finite set; for `epochs`
  /// What is not to change, alone: for `null_space`, and what solves for weights.
  OpenStream rehearsal;
  ListRequests requests; ///< for editors that look for an edit in the model
  /// LoRA: the adapter's values to go on from; empty: a fresh one.
  std::vector<NamedTensor> start = {};
  std::int64_t rehearsal_tokens = 0; ///< in `rehearsal` before it repeats; 0: many
};

struct EditReport {
  TrainReport training;
  std::vector<std::string> modules; ///< what was changed, in model order
  /// Texts that the model said, put before the edits' prompts (`rome`, `memit`, `alphaedit`).
  std::vector<std::string> contexts = {};
  std::uint64_t peak_rss_bytes = 0;
};

struct EditResult {
  std::unique_ptr<peft::Adapter> adapter; ///< attached to the model and enabled
  EditReport report;
};

/// A way to write a batch of edits into a model. The base weights are the same afterwards, bit for
/// bit, whatever happens: all change is in the adapter.
class Editor {
 public:
  virtual ~Editor() = default;
  /// The modules that `options` select, in model order: for plans and dry runs.
  virtual std::vector<std::string> modules(
      const Decoder& model, const EditorOptions& options) const = 0;
  /// Numbers that training would change.
  virtual std::int64_t trainable_parameters(
      const Decoder& model, const EditorOptions& options) const = 0;
  /// Throws `kInterrupted` when the user stops; with a checkpoint directory a later call with
  /// `options.checkpoint.resume` goes on and ends with the same bytes.
  virtual EditResult edit(
      Decoder& model,
      const EditInput& input,
      const EditorOptions& options,
      const ProgressCallback& progress = {}) const = 0;
};

enum class EditorKind {
  kAdapter,        ///< trains an adapter
  kTrainedWeights, ///< trains weights, whose difference is the adapter
  kSolvedWeights,  ///< solves for weights
};

struct EditorInfo {
  std::string name;
  std::string description; ///< one line, for help texts
  EditorKind kind = EditorKind::kAdapter;
  std::string peft_type; ///< of the adapter that is trained; empty: none is
  /// Makes the defaults of `EditorOptions`, which are LoRA's, the method's own.
  void (*use_recipe)(EditorOptions& options);
};

/// Every editor there is.
const std::vector<EditorInfo>& editors();
/// Throws `kInvalidArgument` that lists the known names unless `method` is one.
const EditorInfo& find_editor(const std::string& method);
std::unique_ptr<Editor> make_editor(const std::string& method);

} // namespace errata::editing
