#pragma once

#include "editing/editor.h"

namespace errata::editing {

/// `lora`: trains a LoRA or rsLoRA (2106.09685, 2312.03732) on the edits. A starts with standard
/// deviation 1/sqrt(in), and inside the soft null space when that term is on; B at zero.
class LoraEditor final : public Editor {
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
