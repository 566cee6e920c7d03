#pragma once

#include "editing/editor.h"

namespace errata::editing {

/// `ft` and `ft-locft`: trains the selected weight matrices themselves, in float32, and returns
/// their difference as an adapter: exact, or the best approximation of rank `delta_rank`. The two
/// differ in their defaults only (`default_options`): `ft-locft` is LocFT-BF (2509.22072), epochs
/// over shuffled mini-batches of all edits on one late down_proj.
class FineTuneEditor final : public Editor {
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
