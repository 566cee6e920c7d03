#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/adapter_editor.h"
#include "editing/editor.h"
#include "editing/fine_tune_editor.h"

namespace errata::editing {

const std::vector<EditorInfo>& editors() {
  static const std::vector<EditorInfo> all{
      {"lora", "low-rank adapter (LoRA, rsLoRA) on the selected linear layers"},
      {"dora", "LoRA with the size of each output row trained apart (DoRA, 2402.09353)"},
      {"adalora", "low-rank adapter whose ranks go where they matter (AdaLoRA, 2303.10512)"},
      {"vera", "vectors around one random pair of matrices (VeRA, 2310.11454)"},
      {"ia3", "gains of keys, values and inner activations (IA3, 2205.05638)"},
      {"prompt", "vectors in front of every text (prompt tuning, 2104.08691)"},
      {"p-tuning", "the same, trained through a perceptron (P-tuning, 2103.10385)"},
      {"prefix", "keys and values in front in every layer (prefix tuning, 2101.00190)"},
      {"llama-adapter", "a gated prompt in the attention of every layer (2303.16199)"},
      {"houlsby", "bottlenecks after attention and MLP (1902.00751)"},
      {"pfeiffer", "bottlenecks after the MLP (2005.00247)"},
      {"parallel", "bottlenecks beside the MLP (2110.04366)"},
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
  if (!peft_type_of(method).empty()) {
    return std::make_unique<AdapterEditor>();
  }
  return std::make_unique<FineTuneEditor>();
}

} // namespace errata::editing
