#include "peft/unmergeable_adapter.h"

#include "core/base/error.h"
#include "peft/adapter_types.h"

namespace errata::peft {

void UnmergeableAdapter::set_weight(double weight) {
  ERRATA_CHECK(
      weight == 1.0,
      ErrorCode::kUnsupported,
      adapter_type(config_).name,
      " has no factor; expected 1");
}

void UnmergeableAdapter::select_rows(const torch::Tensor& rows) {
  ERRATA_CHECK(
      !rows.defined(),
      ErrorCode::kUnsupported,
      adapter_type(config_).name,
      " is for whole batches; run its prompts apart");
}

void UnmergeableAdapter::fail_to_merge() const {
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      adapter_type(config_).name,
      " is no change of weights and cannot be merged; ",
      way_out(*this));
}

void UnmergeableAdapter::merge() {
  fail_to_merge();
}

torch::Tensor UnmergeableAdapter::delta(const std::string& /*module*/) const {
  fail_to_merge();
}

torch::Tensor UnmergeableAdapter::bias_delta(const std::string& /*module*/) const {
  fail_to_merge();
}

} // namespace errata::peft
