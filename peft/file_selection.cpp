#include "peft/file_selection.h"

#include "core/base/error.h"
#include "peft/adapter_tensors.h"
#include "peft/targets.h"
#include "peft/trained_parameters.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace errata::peft {
namespace {

std::string own_name(
    const Decoder& model, const std::string& file_name, const std::string& prefix) {
  const ModuleNames& names = model->config().names;
  if (file_name == path_in_file(kHeadName, prefix, names)) {
    return kHeadName;
  }
  return file_name.starts_with(prefix) ? concat(names.root, ".", file_name.substr(prefix.size()))
                                       : file_name;
}

// `select_as_in_file` for modules_to_save.
std::vector<std::string> saved_as_in_file(
    const Decoder& model, const AdapterConfig& config, const std::string& prefix) {
  std::vector<std::string> modules;
  for (const auto& [path, module] : model->adaptables()) {
    if (saves_module(config.modules_to_save, path_in_file(path, prefix, model->config().names))) {
      modules.push_back(path);
    }
  }
  return modules;
}

std::string as_expression(const std::string& path) {
  std::string expression;
  for (const char c : path) {
    expression += c == '.' ? std::string("\\.") : std::string(1, c);
  }
  return expression;
}

// PEFT knows tied modules by these names only: of GPT-2's it saves embedding and head but, by the
// list that it saves with them, loads the embedding alone.
void check_peft_ties(const AdapterConfig& config) {
  const auto& targets = config.target_modules;
  ERRATA_CHECK(
      std::any_of(
          targets.begin(),
          targets.end(),
          [](const std::string& target) {
            return path_ends_in(target, "embed_tokens") || path_ends_in(target, kHeadName);
          }),
      ErrorCode::kUnsupported,
      "ensure_weight_tying without 'embed_tokens' or 'lm_head' in target_modules: PEFT loads such "
      "an "
      "adapter without the head that it was trained with; add lm_head to the list");
}

} // namespace

std::vector<std::string> select_as_in_file(
    const Decoder& model, const AdapterConfig& config, const std::string& prefix) {
  const TargetMatcher matcher(config);
  std::vector<std::string> modules;
  for (const std::string& path : target_paths(model, config)) {
    if (matcher.matches(path_in_file(path, prefix, model->config().names))) {
      modules.push_back(path);
    }
  }
  return modules;
}

AdapterConfig name_tied_modules(
    const Decoder& model, AdapterConfig config, const std::string& prefix) {
  const bool both = config.ensure_weight_tying && model->config().tie_word_embeddings;
  config.ensure_weight_tying = false;
  if (!both) {
    return config;
  }
  const ModuleNames& names = model->config().names;
  const std::array paths = {
      path_in_file(concat(names.root, ".", names.embedding), prefix, names),
      path_in_file(kHeadName, prefix, names)};
  const TargetMatcher matcher(config);
  const auto is_saved = [&](const auto& path) {
    return saves_module(config.modules_to_save, path);
  };
  const auto is_target = [&](const auto& path) { return matcher.matches(path); };
  AdapterConfig named = config;
  if (std::any_of(paths.begin(), paths.end(), is_saved)) {
    named.modules_to_save.insert(named.modules_to_save.end(), paths.begin(), paths.end());
  } else if (std::any_of(paths.begin(), paths.end(), is_target)) {
    if (named.target_regex) {
      named.target_regex = concat(
          "(?:", *named.target_regex, ")|", as_expression(paths[0]), "|", as_expression(paths[1]));
    } else {
      check_peft_ties(config);
      named.target_modules.insert(named.target_modules.end(), paths.begin(), paths.end());
    }
  }
  return named;
}

AdapterConfig in_own_names(
    const Decoder& model,
    const AdapterConfig& config,
    const std::vector<std::string>& modules,
    const std::string& prefix) {
  const ModuleNames& names = model->config().names;
  const std::string own_prefix = names.root + ".";
  const auto file_name = [&](const std::string& module) {
    return path_in_file(module, prefix, names);
  };
  bool same = select_as_in_file(model, config, own_prefix) == modules;
  for (const std::string& module : modules) {
    same = same && module_rank(config, module) == module_rank(config, file_name(module)) &&
           module_scale(config, module) == module_scale(config, file_name(module));
  }
  AdapterConfig own = config;
  own.adalora.kept.clear();
  for (const auto& [module, kept] : config.adalora.kept) {
    own.adalora.kept[own_name(model, module, prefix)] = kept;
  }
  if (auto saved = saved_as_in_file(model, config, prefix);
      saved != saved_as_in_file(model, config, own_prefix)) {
    own.modules_to_save = std::move(saved);
  }
  if (same) {
    return own;
  }
  own.target_regex.reset();
  own.exclude_regex.reset();
  own.exclude_modules.clear();
  own.layers_to_transform.clear();
  own.layers_pattern.clear();
  own.rank_pattern.clear();
  own.alpha_pattern.clear();
  own.target_modules = modules;
  for (const std::string& module : modules) {
    const std::int64_t rank = module_rank(config, file_name(module));
    const double divisor =
        config.use_rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
    const double alpha = module_scale(config, file_name(module)) * divisor;
    if (rank != own.r) {
      own.rank_pattern.emplace_back(module, rank);
    }
    if (alpha != own.lora_alpha) {
      own.alpha_pattern.emplace_back(module, alpha);
    }
  }
  return own;
}

} // namespace errata::peft
