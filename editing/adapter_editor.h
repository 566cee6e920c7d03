#pragma once

#include "editing/editor.h"

#include <string>

namespace errata::editing {

/// Trains an adapter on the edits: every method with a `peft_type`. The A of a LoRA starts with
/// standard deviation 1/sqrt(in), B at zero; with the null-space term A, also AdaLoRA's, starts
/// inside it.
class AdapterEditor final : public Editor {
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
