#include "cli/editor_flags.h"

#include "cli/output.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/editor.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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

// Epochs over prompts without wordings until they are learnt, as of 2509.22072, in small batches,
// so that ten edits have steps enough and a thousand stop when they are learnt. Measured in
// docs/results.md, "Edits given outright".
void use_plain_prompts(const EditorFlags& flags, editing::EditorOptions& options) {
  if (flags.steps || options.epochs > 0 || editing::solves(options)) {
    return;
  }
  options.steps = 0;
  options.epochs = 50;
  options.batch_size = 8;
  options.warmup = 0;
  // What is projected bears a higher rate, and is better for a falling one.
  const bool projected = options.null_space > 0;
  if (!projected) {
    options.schedule = Schedule::kConstant;
  }
  options.early_stop = 1e-2;
  options.anchor = options.anchor > 0 ? 1e-3 : 0;
  if (!flags.optimizer && options.optimizer == OptimizerKind::kMuon) {
    options.optimizer = OptimizerKind::kAdamW;
    options.lr = projected ? 1e-3 : 5e-4;
  }
}

std::string plain(const OrderedJson& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// What methods have in common: "0.002" with {adalora, houlsby}, in the order of the methods.
using MethodsOf = std::vector<std::pair<std::string, std::vector<std::string>>>;

template <typename ValueOf>
MethodsOf methods_by(ValueOf value_of) {
  MethodsOf groups;
  for (const editing::EditorInfo& info : editing::editors()) {
    const std::string value = value_of(info.name);
    const auto known = std::find_if(
        groups.begin(), groups.end(), [&](const auto& group) { return group.first == value; });
    if (known == groups.end()) {
      groups.push_back({value, {info.name}});
    } else {
      known->second.push_back(info.name);
    }
  }
  return groups;
}

// "Peak rate" -> "Peak rate (default 0.0065; 0.0015: ft; 0.02: vera, ia3)": what the first method
// has is the default, the others follow where they differ.
std::string with_defaults(const std::string& text, const std::string& option) {
  const MethodsOf groups = methods_by([&](const std::string& method) {
    return plain(editing::to_json(editing::default_options(method)).at(option));
  });
  std::string list = "default " + groups.front().first;
  for (std::size_t i = 1; i < groups.size(); ++i) {
    list += concat("; ", groups[i].first, ": ", joined(groups[i].second));
  }
  return concat(text, " (", list, ')');
}

// What a method does otherwise with edits given outright: " --epochs 50 --lr 0.001".
std::string plain_prompt_changes(const std::string& method) {
  EditorFlags flags;
  flags.method = method;
  const OrderedJson usual = editing::to_json(editing::default_options(method));
  const OrderedJson outright = editing::to_json(resolve(flags, 0, true));
  std::string list;
  for (const auto& [name, value] : outright.items()) {
    if (value != usual.at(name)) {
      list += concat(" --", name, ' ', plain(value));
    }
  }
  return list;
}

// An option whose default is the method's.
template <typename T>
void add(
    CLI::App& command,
    const std::string& group,
    const std::string& name,
    T& value,
    const std::string& text) {
  command.add_option("--" + name, value, with_defaults(text, name))->group(group);
}

void add_what(CLI::App& command, EditorFlags& flags, const std::string& group) {
  command.add_option("--method", flags.method, method_help())->capture_default_str()->group(group);
  command
      .add_option(
          "--target-modules",
          flags.target_modules,
          "As PEFT selects them (default: all linear layers; ft-locft: down_proj). A LoRA also\n"
          "takes embeddings (embed_tokens, wte) and the output head (lm_head)")
      ->delimiter(',')
      ->group(group);
  command
      .add_option(
          "--layers",
          flags.layers,
          "Layers, such as 2-3,-1 (default: all; ft-locft: a late one; rome: an early one;\n"
          "memit, alphaedit: from an eighth to a quarter of the depth)")
      ->group(group);
  command
      .add_option(
          "--bias",
          flags.bias,
          "Biases trained beside an adapter: none, all, or the targets' own (lora_only; "
          "vera_only)\n"
          "(default none)")
      ->group(group);
  command
      .add_option(
          "--modules-to-save",
          flags.modules_to_save,
          "Modules of which a whole copy is trained, by the ends of their paths: norms, lm_head,\n"
          "embed_tokens and others")
      ->delimiter(',')
      ->group(group);
  add(command,
      group,
      "rank",
      flags.rank,
      "Rank; adalora: the mean rank at the end; bottlenecks: their width");
  command.add_option("--alpha", flags.alpha, "Its scale (default: twice the rank)")->group(group);
  command.add_flag("--rslora", flags.rslora, "Scale by alpha/sqrt(rank)")->group(group);
  add(command, group, "dropout", flags.dropout, "On the input of the adapter's branch");
  command
      .add_option(
          "--init",
          flags.init,
          "How a LoRA starts: default (A uniform in +-1/sqrt(in); under --null-space projected\n"
          "and of deviation 1/sqrt(in)), gaussian, pissa, olora (the weight's own factors) or eva\n"
          "(where the inputs of rehearsal vary most)")
      ->group(group);
  command
      .add_option(
          "--eva-rho",
          flags.eva_rho,
          concat(
              "--init eva: modules compete for ranks, and none gets more than this times --rank;\n"
              "1: the same everywhere (default ",
              editing::EditorOptions().eva_rho,
              ')'))
      ->group(group);
  command
      .add_option(
          "--virtual-tokens", flags.virtual_tokens, "Length of a prompt or prefix (default 20)")
      ->group(group);
  command
      .add_option(
          "--p-tuning-encoder",
          flags.p_tuning_encoder,
          "What p-tuning trains its vectors through: mlp or lstm (default mlp)")
      ->group(group);
  command
      .add_option("--lora-plus", flags.lora_plus, "LoRA+: the rate of B is this times that of A")
      ->group(group);
  add(command,
      group,
      "delta-rank",
      flags.delta_rank,
      "ft: cut its difference to this rank; 0: exact");
}

void add_how(CLI::App& command, EditorFlags& flags, const std::string& group) {
  add(command,
      group,
      "steps",
      flags.steps,
      "Optimizer steps on the stream of documents; of what solves for weights, for each value");
  add(command, group, "epochs", flags.epochs, "Passes over the edits' own prompts instead");
  add(command, group, "batch-tokens", flags.batch_tokens, "Tokens a step");
  add(command,
      group,
      "batch-size",
      flags.batch_size,
      "Examples a step, with --epochs; memit, alphaedit: edits written at a time, 0: all");
  add(command, group, "optimizer", flags.optimizer, "adamw, sgd or muon");
  add(command, group, "lr", flags.lr, "Peak rate");
  add(command, group, "weight-decay", flags.weight_decay, "Decoupled");
  add(command, group, "warmup", flags.warmup, "Steps of rising rate");
  add(command, group, "schedule", flags.schedule, "constant, linear or cosine");
  add(command, group, "grad-clip", flags.grad_clip, "Largest gradient norm; 0: off");
  add(command, group, "early-stop", flags.early_stop, "Stop below this loss; 0: off");
}

// "memit 15000, alphaedit 10" of those that solve for weights.
template <typename T>
void add_solved(
    CLI::App& command,
    const std::string& name,
    T& value,
    const std::string& text,
    const std::vector<std::string>& methods = {"rome", "memit", "alphaedit"}) {
  std::string list;
  for (const std::string& method : methods) {
    const auto defaults = editing::to_json(editing::default_options(method));
    list += concat(list.empty() ? "" : ", ", method, ' ', plain(defaults.at(name)));
  }
  command.add_option("--" + name, value, concat(text, " (default: ", list, ')'))
      ->group("What solves for weights");
}

void add_solving(CLI::App& command, EditorFlags& flags) {
  add_solved(
      command,
      "edit-wordings",
      flags.edit_wordings,
      "Questions of each fact of a store that are edits of their own");
  add_solved(
      command, "contexts", flags.contexts, "Texts of the model's own to put before each prompt");
  add_solved(command, "clamp", flags.clamp, "Largest change of a value, as a share of its size");
  add_solved(
      command,
      "moment-weight",
      flags.moment_weight,
      "Weight of the second moment of what must stay",
      {"memit"});
  add_solved(
      command,
      "null-threshold",
      flags.null_threshold,
      "Directions with a smaller second moment may be written to",
      {"alphaedit"});
  add_solved(command, "ridge", flags.ridge, "Ridge of its system (L2)", {"alphaedit"});
}

void add_local(CLI::App& command, EditorFlags& flags, const std::string& group) {
  add(command, group, "anchor", flags.anchor, "Pull to the base weights each step, a share");
  add(command,
      group,
      "null-space",
      flags.null_space,
      "Softness of the projection away from frequent inputs; 0: off");
  add(command,
      group,
      "kl",
      flags.kl,
      "Weight of KL to the base on rehearsal (rome, memit, alphaedit: after \"<subject>\"); 0: "
      "off");
}

void check_solving(const EditorFlags& flags, const editing::EditorOptions& options) {
  const std::pair<const char*, bool> given[] = {
      {"--edit-wordings", flags.edit_wordings.has_value()},
      {"--contexts", flags.contexts.has_value()},
      {"--clamp", flags.clamp.has_value()},
      {"--moment-weight", flags.moment_weight.has_value()},
      {"--null-threshold", flags.null_threshold.has_value()},
      {"--ridge", flags.ridge.has_value()}};
  for (const auto& [name, present] : given) {
    ERRATA_CHECK(
        !present || editing::solves(options),
        ErrorCode::kInvalidArgument,
        name,
        " goes with --method rome, memit or alphaedit, which solve for weights, not with ",
        options.method);
  }
}

} // namespace

void add_editor_flags(CLI::App& command, EditorFlags& flags) {
  add_what(command, flags, "What is trained");
  add_how(command, flags, "How");
  add_local(command, flags, "What must stay");
  add_solving(command, flags);
}

std::string editor_help() {
  std::string text =
      "Why these defaults: edits alone are learnt quickly, and at the cost of their neighbours.\n"
      "Four things hold what must stay. Rehearsal (in --augment) trains on unchanged facts, the\n"
      "nearest ones most, so that those are kept. Echo distils what the base itself says to\n"
      "questions that have no answer, which keeps the names that no rehearsed fact holds.\n"
      "--null-space keeps the updates of a LoRA out of the directions that a layer's inputs have\n"
      "all the time, so that facts nobody rehearsed are kept too. --anchor takes every trained\n"
      "weight a little way back to the base at each step: what the edits do not need goes home.\n"
      "docs/results.md has the figures. ft-locft is left as published, with none.\n"
      "Where no store says what must stay, --null-space measures 16 texts an edit, 1,024 at most,\n"
      "that the base writes by itself, or --stats-text.";
  text += "\nWith --edits or --set the defaults are";
  for (const auto& [changes, methods] : methods_by(plain_prompt_changes)) {
    if (!changes.empty()) {
      text += concat("\n ", changes, ": ", joined(methods));
    }
  }
  return text;
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
  options.modules_to_save = flags.modules_to_save;
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
  put(flags.init, options.init);
  ERRATA_CHECK(
      !flags.eva_rho || options.init == "eva",
      ErrorCode::kInvalidArgument,
      "--eva-rho goes with --init eva");
  put(flags.eva_rho, options.eva_rho);
  put(flags.bias, options.bias);
  put(flags.virtual_tokens, options.virtual_tokens);
  ERRATA_CHECK(
      !flags.p_tuning_encoder || options.method == "p-tuning",
      ErrorCode::kInvalidArgument,
      "--p-tuning-encoder goes with --method p-tuning");
  put(flags.p_tuning_encoder, options.p_tuning_encoder);
  put(flags.lora_plus, options.lora_plus);
  put(flags.delta_rank, options.delta_rank);
  put(flags.batch_tokens, options.batch_tokens);
  put(flags.batch_size, options.batch_size);
  put(flags.lr, options.lr);
  put(flags.weight_decay, options.weight_decay);
  put(flags.warmup, options.warmup);
  put(flags.grad_clip, options.grad_clip);
  put(flags.early_stop, options.early_stop);
  put(flags.anchor, options.anchor);
  if (!editing::null_space_acts(options)) { // as with --init pissa
    options.null_space = 0;
  }
  put(flags.null_space, options.null_space);
  put(flags.kl, options.kl);
  check_solving(flags, options);
  put(flags.edit_wordings, options.edit_wordings);
  put(flags.contexts, options.contexts);
  put(flags.clamp, options.clamp);
  put(flags.moment_weight, options.moment_weight);
  put(flags.null_threshold, options.null_threshold);
  put(flags.ridge, options.ridge);
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
