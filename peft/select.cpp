#include "core/base/error.h"
#include "core/base/json.h"
#include "peft/adapter.h"
#include "peft/targets.h"

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

namespace errata::peft {
namespace {

// The module names a user may have meant: last components and last two, without the layers.
std::string near_names(const std::string& target, const std::vector<std::string>& paths) {
  std::set<std::string> names;
  for (const std::string& path : paths) {
    const auto last = path.rfind('.');
    names.insert(path.substr(last + 1));
    names.insert(path.substr(path.rfind('.', last - 1) + 1));
  }
  if (target.find_first_of("*+?()[]{}^$|\\") != std::string::npos) {
    return "an entry of a list is plain text: give an expression on its own (--target-regex)";
  }
  const std::string nearest = nearest_name(target, {names.begin(), names.end()});
  if (!nearest.empty()) {
    return "did you mean '" + nearest + "'?";
  }
  std::string list;
  for (const std::string& name : names) {
    if (name.find('.') == std::string::npos) {
      list += (list.empty() ? "" : ", ") + name;
    }
  }
  return "the model's modules are " + list;
}

void check_layers(const AdapterConfig& config, std::int64_t num_layers) {
  for (const std::int64_t layer : config.layers_to_transform) {
    ERRATA_CHECK(
        layer >= 0 && layer < num_layers,
        ErrorCode::kInvalidArgument,
        "layers_to_transform: layer ",
        layer,
        " is out of range; the model has layers 0 to ",
        num_layers - 1);
  }
}

// An entry that selects nothing is a slip of the pen far more often than intended.
void check_entries(
    const AdapterConfig& config,
    const TargetMatcher& matcher,
    const std::vector<std::string>& paths) {
  for (const std::string& target : config.target_modules) {
    bool named = false;
    bool in_layers = false;
    bool selected = false;
    for (const std::string& path : paths) {
      if (path_ends_in(path, target)) {
        named = true;
        const bool here = path == target || matcher.layer_selected(path);
        in_layers = in_layers || here;
        selected = selected || (here && !matcher.excluded(path));
      }
    }
    ERRATA_CHECK(
        named,
        ErrorCode::kInvalidArgument,
        "target '",
        target,
        "' matches no module of the model that can be a target; ",
        near_names(target, paths));
    ERRATA_CHECK(
        selected,
        ErrorCode::kInvalidArgument,
        "target '",
        target,
        in_layers ? "' matches only modules that exclude_modules leaves out; drop one of the two"
                  : "' matches no module in the chosen layers; check --layers or layers_pattern");
  }
}

std::int64_t resolve_layer(
    const std::string& text, const std::string& all, std::int64_t num_layers) {
  std::int64_t layer = 0;
  try {
    layer = std::stoll(text);
  } catch (const std::out_of_range&) {
    layer = num_layers;
  }
  const std::int64_t resolved = layer < 0 ? layer + num_layers : layer;
  ERRATA_CHECK(
      resolved >= 0 && resolved < num_layers,
      ErrorCode::kInvalidArgument,
      "--layers '",
      all,
      "': ",
      text,
      " is out of range; the model has layers 0 to ",
      num_layers - 1,
      " (or -",
      num_layers,
      " to -1)");
  return resolved;
}

} // namespace

std::vector<std::int64_t> parse_layers(const std::string& text, std::int64_t num_layers) {
  static const std::regex form(R"(\s*(-?\d+)(?:\s*-\s*(-?\d+))?\s*)");
  std::set<std::int64_t> layers;
  std::istringstream parts(text + ",");
  std::string part;
  while (std::getline(parts, part, ',')) {
    std::smatch groups;
    ERRATA_CHECK(
        std::regex_match(part, groups, form),
        ErrorCode::kInvalidArgument,
        "--layers '",
        text,
        "': '",
        part,
        "' is not a layer or a range; expected a form like 2-3,-1");
    const std::int64_t first = resolve_layer(groups[1].str(), text, num_layers);
    const std::int64_t last =
        groups[2].matched ? resolve_layer(groups[2].str(), text, num_layers) : first;
    ERRATA_CHECK(
        first <= last,
        ErrorCode::kInvalidArgument,
        "--layers '",
        text,
        "': the range ",
        part,
        " ends before it starts");
    for (std::int64_t layer = first; layer <= last; ++layer) {
      layers.insert(layer);
    }
  }
  return {layers.begin(), layers.end()};
}

std::vector<std::string> match_targets(const Decoder& model, const AdapterConfig& config) {
  const AdapterConfig resolved = resolve_targets(model, config);
  check_layers(resolved, model->config().num_layers());
  const TargetMatcher matcher(resolved);
  const std::vector<std::string> paths = target_paths(model, resolved);
  check_entries(resolved, matcher, paths);
  std::vector<std::string> matched;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(matched), [&](const auto& path) {
    return matcher.matches(path);
  });
  ERRATA_CHECK(
      !matched.empty(),
      ErrorCode::kInvalidArgument,
      "target_modules '",
      resolved.target_regex.value_or(""),
      "' matches no module of the model that can be a target; an expression must match the whole "
      "path, such as '",
      paths.empty() ? "" : paths.front(),
      "'");
  return matched;
}

} // namespace errata::peft
