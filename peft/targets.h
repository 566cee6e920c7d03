#pragma once

#include "peft/adapter.h"

#include <memory>
#include <string>
#include <vector>

namespace errata::peft {

/// Decides for single module paths whether a config selects them, as PEFT's
/// `check_target_module_exists` does. Expressions are compiled once.
class TargetMatcher {
 public:
  /// `kInvalidArgument` for an expression that cannot be compiled, and for one together with
  /// `layers_to_transform`. "all-linear" must have been resolved (`resolve_targets`).
  explicit TargetMatcher(const AdapterConfig& config);
  ~TargetMatcher();

  bool matches(const std::string& path) const;
  bool excluded(const std::string& path) const;
  /// True without `layers_to_transform`; else whether the path's layer is among them.
  bool layer_selected(const std::string& path) const;

 private:
  struct Expressions;

  const AdapterConfig& config_;
  std::unique_ptr<Expressions> expressions_;
};

/// Paths of the modules that may be targets of the config's type, in model order.
std::vector<std::string> target_paths(const Decoder& model, const AdapterConfig& config);

/// The config with the family's default and "all-linear" written out as lists.
AdapterConfig resolve_targets(const Decoder& model, AdapterConfig config);

/// True when `path` equals `name` or ends in "." + `name`.
bool path_ends_in(const std::string& path, const std::string& name);

/// True when the rank or alpha pattern `key` applies to `path`: PEFT's `(.*\.)?(key)$`.
bool pattern_matches(const std::string& key, const std::string& path);

} // namespace errata::peft
