#include "peft/adapter_types.h"

#include "core/base/error.h"
#include "peft/adalora.h"
#include "peft/adaption_prompt.h"
#include "peft/bottleneck.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/prefix_tuning.h"
#include "peft/prompt_tuning.h"
#include "peft/vera.h"

#include <algorithm>

namespace errata::peft {

const std::vector<const AdapterType*>& adapter_types() {
  static const std::vector<const AdapterType*> types{
      &lora_type(),
      &adalora_type(),
      &vera_type(),
      &ia3_type(),
      &prompt_tuning_type(),
      &p_tuning_type(),
      &prefix_tuning_type(),
      &adaption_prompt_type(),
      &bottleneck_type()};
  return types;
}

const AdapterType* find_adapter_type(std::string_view peft_type) {
  for (const AdapterType* type : adapter_types()) {
    if (type->peft_type == peft_type) {
      return type;
    }
  }
  return nullptr;
}

bool changes_weights_alone(const Adapter& adapter) {
  if (!adapter.can_merge() || !adapter.config().modules_to_save.empty()) {
    return false;
  }
  const std::vector<std::string> modules = adapter.modules();
  return std::none_of(modules.begin(), modules.end(), [&](const std::string& module) {
    return adapter.bias_delta(module).defined();
  });
}

std::string way_out(const Adapter& adapter) {
  if (adapter.can_merge()) {
    return changes_weights_alone(adapter) ? "use --to merged, or --rank for the nearest LoRA"
                                          : "use --to merged";
  }
  return adapter_type(adapter.config()).own ? "errata itself runs it (--adapter)"
                                            : "serve it as an adapter (--to peft)";
}

std::string trained_bias_name(const AdapterType& type, TrainedBias bias) {
  switch (bias) {
    case TrainedBias::kNone:
      break;
    case TrainedBias::kAll:
      return "all";
    case TrainedBias::kTargets:
      return std::string(type.bias_of_targets);
  }
  return "none";
}

std::optional<TrainedBias> parse_trained_bias(const AdapterType& type, std::string_view name) {
  for (const TrainedBias bias : {TrainedBias::kNone, TrainedBias::kAll, TrainedBias::kTargets}) {
    const bool known = bias == TrainedBias::kNone || !type.bias_of_targets.empty();
    if (known && name == trained_bias_name(type, bias)) {
      return bias;
    }
  }
  return std::nullopt;
}

std::string bias_choices(const AdapterType& type) {
  return type.bias_of_targets.empty() ? "none" : concat("none, all or ", type.bias_of_targets);
}

const AdapterType& adapter_type(const AdapterConfig& config) {
  const AdapterType* const found = find_adapter_type(config.peft_type);
  ERRATA_CHECK(found != nullptr, ErrorCode::kInternal, "no adapter type '", config.peft_type, "'");
  return *found;
}

} // namespace errata::peft
