#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "editing/adapter_editor.h"
#include "editing/editor.h"
#include "editing/fine_tune_editor.h"
#include "editing/locate/locate_editor.h"

namespace errata::editing {
namespace {

// The defaults of `EditorOptions` are LoRA's.
void use_lora(EditorOptions& /*options*/) {}

void use_adalora(EditorOptions& options) {
  options.optimizer = OptimizerKind::kAdamW;
  options.lr = 2e-3;
  options.null_space = 0;
}

void use_ft(EditorOptions& options) {
  options.lr = 1.5e-3;
  options.anchor = 0.004;
  options.null_space = 0;
  options.steps = 1050;
}

// Few numbers need large steps; what has no A cannot be kept out of frequent inputs.
void use_vectors(EditorOptions& options) {
  options.optimizer = OptimizerKind::kAdamW;
  options.lr = 2e-2;
  options.anchor = 0;
  options.null_space = 0;
}

// 2509.22072: the value of this method is its loop, so nothing is added to it.
void use_locft(EditorOptions& options) {
  options.target_modules = {"down_proj"};
  options.steps = 0;
  options.epochs = 25;
  options.batch_size = 100;
  options.optimizer = OptimizerKind::kAdamW;
  options.lr = 5e-4;
  options.warmup = 0;
  options.schedule = Schedule::kConstant;
  options.grad_clip = 0;
  options.anchor = 0;
  options.null_space = 0;
  options.early_stop = 1e-2;
  options.loss_mean = LossMean::kExamples;
}

// The values' optimisation, and what it gives to be written.
void use_solved(EditorOptions& options) {
  options.steps = 25;
  options.optimizer = OptimizerKind::kAdamW;
  options.lr = 0.5;
  options.warmup = 0;
  options.schedule = Schedule::kConstant;
  options.grad_clip = 0;
  options.early_stop = 0.05;
  options.anchor = 0;
  options.null_space = 0;
  options.kl = 0.0625;
  options.contexts = 5;
}

void use_rome(EditorOptions& options) {
  use_solved(options);
  options.weight_decay = 1e-3;
  options.clamp = 4;
}

void use_memit(EditorOptions& options) {
  use_solved(options);
  options.weight_decay = 0.5;
  options.clamp = 0.75;
}

void use_alphaedit(EditorOptions& options) {
  use_memit(options);
  options.lr = 0.1;
}

void use_vera(EditorOptions& options) {
  use_vectors(options);
  options.rank = 256;
}

void use_prompt(EditorOptions& options) {
  use_vectors(options);
  options.lr = 1e-2;
}

void use_bottleneck(EditorOptions& options) {
  use_vectors(options);
  options.lr = 2e-3;
}

} // namespace

const std::vector<EditorInfo>& editors() {
  static const std::vector<EditorInfo> all{
      {"lora",
       "low-rank adapter (LoRA, rsLoRA) on the selected linear layers",
       EditorKind::kAdapter,
       "LORA",
       use_lora},
      {"dora",
       "LoRA with the size of each output row trained apart (DoRA, 2402.09353)",
       EditorKind::kAdapter,
       "LORA",
       use_lora},
      {"adalora",
       "low-rank adapter whose ranks go where they matter (AdaLoRA, 2303.10512)",
       EditorKind::kAdapter,
       "ADALORA",
       use_adalora},
      {"vera",
       "vectors around one random pair of matrices (VeRA, 2310.11454)",
       EditorKind::kAdapter,
       "VERA",
       use_vera},
      {"ia3",
       "gains of keys, values and inner activations (IA3, 2205.05638)",
       EditorKind::kAdapter,
       "IA3",
       use_vectors},
      {"prompt",
       "vectors in front of every text (prompt tuning, 2104.08691)",
       EditorKind::kAdapter,
       "PROMPT_TUNING",
       use_prompt},
      {"p-tuning",
       "the same, trained through a small network (P-tuning, 2103.10385)",
       EditorKind::kAdapter,
       "P_TUNING",
       use_prompt},
      {"prefix",
       "keys and values in front in every layer (prefix tuning, 2101.00190)",
       EditorKind::kAdapter,
       "PREFIX_TUNING",
       use_prompt},
      {"llama-adapter",
       "a gated prompt in the attention of every layer (2303.16199)",
       EditorKind::kAdapter,
       "ADAPTION_PROMPT",
       use_prompt},
      {"houlsby",
       "bottlenecks after attention and MLP (1902.00751)",
       EditorKind::kAdapter,
       "BOTTLENECK",
       use_bottleneck},
      {"pfeiffer",
       "bottlenecks after the MLP (2005.00247)",
       EditorKind::kAdapter,
       "BOTTLENECK",
       use_bottleneck},
      {"parallel",
       "bottlenecks beside the MLP (2110.04366)",
       EditorKind::kAdapter,
       "BOTTLENECK",
       use_bottleneck},
      {"ft",
       "fine-tuning of the selected weights; the difference becomes the adapter",
       EditorKind::kTrainedWeights,
       "",
       use_ft},
      {"ft-locft",
       "breadth-first fine-tuning of one late down_proj (LocFT-BF, 2509.22072)",
       EditorKind::kTrainedWeights,
       "",
       use_locft},
      {"rome",
       "one MLP's last matrix, solved for one edit after the other (R-ROME, 2202.05262, "
       "2403.07175)",
       EditorKind::kSolvedWeights,
       "",
       use_rome},
      {"memit",
       "the last matrices of some MLPs, solved for all edits at once (2210.07229)",
       EditorKind::kSolvedWeights,
       "",
       use_memit},
      {"alphaedit",
       "the same, in the null space of what must stay (2410.02355)",
       EditorKind::kSolvedWeights,
       "",
       use_alphaedit},
  };
  return all;
}

const EditorInfo& find_editor(const std::string& method) {
  std::vector<std::string> names;
  std::string list;
  for (const EditorInfo& info : editors()) {
    if (info.name == method) {
      return info;
    }
    names.push_back(info.name);
    list += (list.empty() ? "" : ", ") + info.name;
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      "method '",
      method,
      "' is unknown; use one of ",
      list,
      did_you_mean(method, names));
}

std::unique_ptr<Editor> make_editor(const std::string& method) {
  switch (find_editor(method).kind) {
    case EditorKind::kTrainedWeights:
      return std::make_unique<FineTuneEditor>();
    case EditorKind::kSolvedWeights:
      return std::make_unique<LocateEditor>();
    case EditorKind::kAdapter:
      break;
  }
  return std::make_unique<AdapterEditor>();
}

} // namespace errata::editing
