#pragma once

#include "editing/editor.h"

namespace errata::editing {

/// `rome` (2202.05262, as R-ROME, 2403.07175), `memit` (2210.07229) and `alphaedit` (2410.02355):
/// finds for each edit a value at its subject's last token, and solves for the change of the last
/// matrices of some MLPs that gives the subject's keys these values. The difference is the adapter:
/// exact, or of rank `delta_rank`.
///
/// Edits are written `batch_size` at a time (0: all; `rome`: one), each batch into the model with
/// those before. Needs `EditInput::requests`, and `EditInput::rehearsal` for the second moment of
/// what must stay; `rome` goes without one where there is none. Edits whose prompts are the same up
/// to the subject's last token have one key, and get one value (2502.07322). There are no
/// checkpoints: a resumed run begins anew.
class LocateEditor final : public Editor {
 public:
  std::vector<std::string> modules(
      const Decoder& model, const EditorOptions& options) const override;
  std::int64_t trainable_parameters(
      const Decoder& model, const EditorOptions& options) const override;
  EditResult edit(
      Decoder& model,
      const EditInput& input,
      const EditorOptions& options,
      const ProgressCallback& progress = {}) const override;
};

} // namespace errata::editing
