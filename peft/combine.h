#pragma once

#include "peft/adapter.h"
#include "peft/task_arithmetic.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace errata::peft {

/// How adapters become one LoRA. `name` is PEFT's (`add_weighted_adapter`).
struct Combination {
  std::string_view name;
  std::string_view description; ///< one line, for help texts
  MergeRule rule = MergeRule::kSum;
  /// What is merged: the changes of the weights, factorised again, or A and B apart, each with the
  /// root of its weight (which is no sum of the changes).
  enum class Of { kFactors, kChanges, kStack } of = Of::kChanges;
};

const std::vector<Combination>& combinations();
/// An unknown name is `kInvalidArgument` and lists the known ones.
const Combination& combination(const std::string& name);

struct CombineOptions {
  std::string combination = "cat";
  std::vector<double> weights; ///< one an adapter; empty: all 1
  double density = 0.5;
  bool count_signs = false;
  std::int64_t rank = 0; ///< of what is factorised again; 0: the largest of the adapters'
  std::uint64_t seed = 0;
};

/// A LoRA with what `adapters` of `model` do together; attached to it beside them. `cat` is their
/// weighted sum exactly, `svd` its best approximation of a rank. Rules on A and B need LoRAs of one
/// rank on a module, `cat` LoRAs, the others any adapters that can be merged (`kUnsupported`).
std::unique_ptr<Adapter> combine_adapters(
    Decoder& model, const std::vector<const Adapter*>& adapters, const CombineOptions& options);

/// Two adapters on one module, as changes of its weight (not of its bias).
struct ModuleDifference {
  std::string module;
  double first = 0; ///< Frobenius norm of the first change; 0 where it does not touch the module
  double second = 0;
  double difference = 0; ///< of first minus second
  double cosine = 0;     ///< of the angle between the two; 0 where one is missing
};

/// All modules that either touches, in model order, then the totals under the name "all".
std::vector<ModuleDifference> compare_adapters(
    const Decoder& model, const Adapter& first, const Adapter& second);

} // namespace errata::peft
