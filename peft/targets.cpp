#include "peft/targets.h"

#include "core/base/error.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>
#include <set>

namespace errata::peft {
namespace {

// Python's named groups are the one common form that ECMAScript expressions lack.
std::regex compile(const std::string& expression, const char* field) {
  static const std::regex named_group(R"(\(\?P<[A-Za-z_]\w*>)");
  try {
    return std::regex(std::regex_replace(expression, named_group, "("));
  } catch (const std::regex_error& error) {
    ERRATA_FAIL(
        ErrorCode::kInvalidArgument,
        field,
        " '",
        expression,
        "' is not a regular expression that errata can use (",
        error.what(),
        "); name the modules in a list instead");
  }
}

// Python's re.match: anchored at the start only.
bool match_start(const std::string& text, const std::regex& expression, std::smatch& groups) {
  return std::regex_search(text, groups, expression, std::regex_constants::match_continuous);
}

std::vector<std::string> default_targets(
    const AdapterConfig& config, const std::string& model_type) {
  const AdapterType& type = adapter_type(config);
  const std::vector<std::string> targets = type.default_targets(model_type);
  ERRATA_CHECK(
      !targets.empty(),
      ErrorCode::kInvalidArgument,
      "model type ",
      model_type,
      " has no default targets for ",
      type.name,
      "; name them with --target-modules");
  return targets;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return text;
}

std::string leaf(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

} // namespace

struct TargetMatcher::Expressions {
  std::optional<std::regex> target;
  std::optional<std::regex> exclude;
  std::vector<std::regex> layer_index; ///< the first group is the index
};

TargetMatcher::TargetMatcher(const AdapterConfig& config)
    : config_(config), expressions_(std::make_unique<Expressions>()) {
  if (config.target_regex) {
    ERRATA_CHECK(
        config.layers_to_transform.empty(),
        ErrorCode::kInvalidArgument,
        "layers_to_transform does not go with the expression target_modules '",
        *config.target_regex,
        "'; put the layers into the expression or name the modules in a list");
    expressions_->target = compile(*config.target_regex, "target_modules");
  }
  if (config.exclude_regex) {
    expressions_->exclude = compile(*config.exclude_regex, "exclude_modules");
  }
  if (config.layers_pattern.empty()) {
    // Lazy: the first numbered component is the layer, a later one an expert or a list entry.
    expressions_->layer_index.emplace_back(R"(.*?\.[^.]*\.(\d+)\.)");
  }
  for (const std::string& pattern : config.layers_pattern) {
    expressions_->layer_index.push_back(
        compile("(?:^|.*?\\.)" + pattern + "\\.(\\d+)\\.", "layers_pattern"));
  }
}

TargetMatcher::~TargetMatcher() = default;

bool TargetMatcher::excluded(const std::string& path) const {
  if (expressions_->exclude && std::regex_match(path, *expressions_->exclude)) {
    return true;
  }
  return std::any_of(
      config_.exclude_modules.begin(), config_.exclude_modules.end(), [&](const auto& name) {
        return path_ends_in(path, name);
      });
}

bool TargetMatcher::layer_selected(const std::string& path) const {
  const auto& layers = config_.layers_to_transform;
  if (layers.empty()) {
    return true;
  }
  for (const std::regex& expression : expressions_->layer_index) {
    std::smatch groups;
    if (match_start(path, expression, groups)) {
      // The pattern may hold groups of its own; the index is the last one.
      const auto& index = groups[groups.size() - 1];
      return index.matched &&
             std::find(layers.begin(), layers.end(), std::stoll(index.str())) != layers.end();
    }
  }
  return false;
}

bool TargetMatcher::matches(const std::string& path) const {
  if (excluded(path)) {
    return false;
  }
  if (expressions_->target) {
    return std::regex_match(path, *expressions_->target);
  }
  const auto& targets = config_.target_modules;
  // A module named in full is taken whatever its layer.
  if (std::find(targets.begin(), targets.end(), path) != targets.end()) {
    return true;
  }
  const bool named = std::any_of(
      targets.begin(), targets.end(), [&](const auto& name) { return path_ends_in(path, name); });
  return named && layer_selected(path);
}

std::vector<std::string> target_paths(const Decoder& model, const AdapterConfig& config) {
  const bool tables = adapter_type(config).adapts_tables;
  std::vector<std::string> paths;
  for (const auto& [path, module] : model->adaptables()) {
    if (has_matrix(*module) && (tables || !is_table(*module))) {
      paths.push_back(path);
    }
  }
  return paths;
}

AdapterConfig resolve_targets(const Decoder& model, AdapterConfig config) {
  if (config.target_regex && lower(*config.target_regex) == "all-linear") {
    config.target_regex.reset();
    std::set<std::string> names;
    for (const auto& [path, linear] : model->linears()) {
      names.insert(leaf(path));
    }
    config.target_modules.assign(names.begin(), names.end());
  } else if (!config.target_regex && config.target_modules.empty()) {
    config.target_modules = default_targets(config, model->config().model_type);
  }
  return config;
}

bool path_ends_in(const std::string& path, const std::string& name) {
  return path == name || path.ends_with("." + name);
}

bool pattern_matches(const std::string& key, const std::string& path) {
  std::smatch groups;
  return match_start(path, compile("(.*\\.)?(" + key + ")$", "rank or alpha pattern"), groups);
}

std::int64_t module_rank(const AdapterConfig& config, const std::string& module) {
  for (const auto& [key, rank] : config.rank_pattern) {
    if (pattern_matches(key, module)) {
      return rank;
    }
  }
  return config.r;
}

double module_scale(const AdapterConfig& config, const std::string& module) {
  double alpha = config.lora_alpha;
  for (const auto& [key, value] : config.alpha_pattern) {
    if (pattern_matches(key, module)) {
      alpha = value;
      break;
    }
  }
  const auto rank = static_cast<double>(module_rank(config, module));
  return config.use_rslora ? alpha / std::sqrt(rank) : alpha / rank;
}

} // namespace errata::peft
