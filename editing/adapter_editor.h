#pragma once

#include "editing/editor.h"

#include <string>

namespace errata::editing {

/// Trains an adapter on the edits: `lora`, `dora`, `adalora`, `vera`, `ia3`, `prompt`, `p-tuning`,
/// `prefix`, `llama-adapter`, `houlsby`, `pfeiffer`, `parallel`. The A of a
/// LoRA starts with standard deviation 1/sqrt(in), and inside the soft null space when that term is
/// on; B at zero.
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

/// PEFT's peft_type of an adapter method; empty for a method that is none.
std::string peft_type_of(const std::string& method);

} // namespace errata::editing
