#include "cli/editor_flags.h"

#include "core/base/error.h"
#include "editing/editor.h"

#include <CLI/CLI.hpp>

namespace errata::cli {
namespace {

template <typename T, typename U>
void put(const std::optional<T>& flag, U& value) {
  if (flag) {
    value = *flag;
  }
}

std::string method_help() {
  std::string text = "How edits are written:";
  for (const editing::EditorInfo& info : editing::editors()) {
    text += concat("\n    ", info.name, ": ", info.description);
  }
  return text;
}

// 2509.22072's loop for prompts without wordings: epochs over all edits, stop when they are learnt.
void use_plain_prompts(const EditorFlags& flags, editing::EditorOptions& options) {
  if (flags.steps || options.epochs > 0) {
    return;
  }
  options.steps = 0;
  options.epochs = 25;
  options.batch_size = 100;
  options.early_stop = 1e-2;
  options.anchor = 0;
  if (!flags.optimizer) {
    options.optimizer = OptimizerKind::kAdamW;
    options.lr = 1e-3;
  }
}

} // namespace

void add_editor_flags(CLI::App& command, EditorFlags& flags) {
  const std::string what = "What is trained";
  const std::string how = "How";
  const std::string local = "What must stay";
  command.add_option("--method", flags.method, method_help())->capture_default_str()->group(what);
  command
      .add_option(
          "--target-modules",
          flags.target_modules,
          "As PEFT selects them (default: all linear layers)")
      ->delimiter(',')
      ->group(what);
  command.add_option("--layers", flags.layers, "Layers, such as 2-3,-1 (default: all)")
      ->group(what);
  command.add_option("--rank", flags.rank, "Rank of the LoRA")->group(what);
  command.add_option("--alpha", flags.alpha, "Its scale (default: twice the rank)")->group(what);
  command.add_flag("--rslora", flags.rslora, "Scale by alpha/sqrt(rank)")->group(what);
  command.add_option("--dropout", flags.dropout, "On the input of the LoRA branch")->group(what);
  command
      .add_option("--delta-rank", flags.delta_rank, "ft: cut its difference to this rank; 0: exact")
      ->group(what);
  command.add_option("--steps", flags.steps, "Optimizer steps on the stream of documents")
      ->group(how);
  command.add_option("--epochs", flags.epochs, "Passes over the edits' own prompts instead")
      ->group(how);
  command.add_option("--batch-tokens", flags.batch_tokens, "Tokens a step")->group(how);
  command.add_option("--batch-size", flags.batch_size, "Examples a step, with --epochs")
      ->group(how);
  command.add_option("--optimizer", flags.optimizer, "adamw, sgd or muon")->group(how);
  command.add_option("--lr", flags.lr, "Peak rate")->group(how);
  command.add_option("--weight-decay", flags.weight_decay, "Decoupled")->group(how);
  command.add_option("--warmup", flags.warmup, "Steps of rising rate")->group(how);
  command.add_option("--schedule", flags.schedule, "constant, linear or cosine")->group(how);
  command.add_option("--grad-clip", flags.grad_clip, "Largest gradient norm; 0: off")->group(how);
  command.add_option("--early-stop", flags.early_stop, "Stop below this loss; 0: off")->group(how);
  command.add_option("--anchor", flags.anchor, "Pull to the base weights each step, a share")
      ->group(local);
  command
      .add_option(
          "--null-space",
          flags.null_space,
          "Softness of the projection away from frequent inputs; 0: off")
      ->group(local);
  command.add_option("--kl", flags.kl, "Weight of KL to the base on rehearsal; 0: off")
      ->group(local);
}

editing::EditorOptions resolve(
    const EditorFlags& flags, std::uint64_t seed, bool edits_given_outright) {
  editing::EditorOptions options = editing::default_options(flags.method);
  if (edits_given_outright) {
    use_plain_prompts(flags, options);
  }
  if (!flags.target_modules.empty()) {
    options.target_modules = flags.target_modules;
  }
  if (!flags.layers.empty()) {
    options.layers = flags.layers;
  }
  options.rslora = flags.rslora;
  // One of the two replaces whichever the recipe has.
  if (flags.steps && !flags.epochs) {
    options.epochs = 0;
    options.batch_size = 0;
  }
  if (flags.epochs && !flags.steps) {
    options.steps = 0;
  }
  put(flags.steps, options.steps);
  put(flags.epochs, options.epochs);
  put(flags.rank, options.rank);
  put(flags.alpha, options.alpha);
  put(flags.dropout, options.dropout);
  put(flags.delta_rank, options.delta_rank);
  put(flags.batch_tokens, options.batch_tokens);
  put(flags.batch_size, options.batch_size);
  put(flags.lr, options.lr);
  put(flags.weight_decay, options.weight_decay);
  put(flags.warmup, options.warmup);
  put(flags.grad_clip, options.grad_clip);
  put(flags.early_stop, options.early_stop);
  put(flags.anchor, options.anchor);
  put(flags.null_space, options.null_space);
  put(flags.kl, options.kl);
  if (flags.optimizer) {
    options.optimizer = parse_optimizer(*flags.optimizer);
  }
  if (flags.schedule) {
    options.schedule = parse_schedule(*flags.schedule);
  }
  options.seed = seed;
  editing::validate(options);
  return options;
}

} // namespace errata::cli
