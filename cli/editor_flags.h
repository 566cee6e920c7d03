#pragma once

#include "editing/editor_options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace errata::cli {

/// The training options of edit-batch as given on the command line; what is not given comes from
/// the method's own recipe.
struct EditorFlags {
  std::string method = "lora";
  std::vector<std::string> target_modules;
  std::string layers;
  std::vector<std::string> modules_to_save;
  bool rslora = false;
  std::optional<std::int64_t> rank, delta_rank, virtual_tokens, steps, epochs, batch_tokens,
      batch_size, warmup;
  std::optional<double> alpha, dropout, lr, weight_decay, grad_clip, early_stop;
  std::optional<std::int64_t> edit_wordings, contexts;
  std::optional<double> clamp, moment_weight, null_threshold, ridge;
  std::optional<double> anchor, null_space, kl, lora_plus, eva_rho;
  std::optional<std::string> optimizer, schedule, init, p_tuning_encoder, bias;
};

/// The help of each option names the default of every method, from the method's own recipe.
void add_editor_flags(CLI::App& command, EditorFlags& flags);

/// Why the defaults are as they are, and what edits given outright change in them.
std::string editor_help();

/// The method's recipe with the flags put over it, validated. Edits given outright have no wordings
/// to make a stream from: they are trained in epochs over their own prompts unless told otherwise.
editing::EditorOptions resolve(
    const EditorFlags& flags, std::uint64_t seed, bool edits_given_outright);

} // namespace errata::cli
