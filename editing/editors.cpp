#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/editor.h"
#include "editing/fine_tune_editor.h"
#include "editing/lora_editor.h"

namespace errata::editing {

const std::vector<EditorInfo>& editors() {
  static const std::vector<EditorInfo> all{
      {"lora", "low-rank adapter (LoRA, rsLoRA) on the selected linear layers"},
      {"ft", "fine-tuning of the selected weights; the difference becomes the adapter"},
      {"ft-locft", "breadth-first fine-tuning of one late down_proj (LocFT-BF, 2509.22072)"},
  };
  return all;
}

void require_editor(const std::string& method) {
  std::vector<std::string> names;
  std::string list;
  for (const EditorInfo& info : editors()) {
    if (info.name == method) {
      return;
    }
    names.push_back(info.name);
    list += (list.empty() ? "" : ", ") + info.name;
  }
  const std::string near = nearest_name(method, names);
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      "method '",
      method,
      "' is unknown",
      near.empty() ? "" : concat(" (did you mean '", near, "'?)"),
      "; use one of ",
      list);
}

std::unique_ptr<Editor> make_editor(const std::string& method) {
  require_editor(method);
  if (method == "lora") {
    return std::make_unique<LoraEditor>();
  }
  return std::make_unique<FineTuneEditor>();
}

} // namespace errata::editing
