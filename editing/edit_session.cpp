#include "editing/edit_session.h"

#include "core/base/error.h"

#include <utility>

namespace errata::editing {

EditSession::~EditSession() {
  rollback();
}

torch::Tensor EditSession::open(const std::string& module) {
  for (const Opened& opened : opened_) {
    if (opened.module == module) {
      return opened.parameter;
    }
  }
  for (auto& [name, linear] : model_->linears()) {
    if (name == module) {
      const torch::NoGradGuard no_grad;
      const torch::Tensor original = linear->weight.variable_data();
      linear->weight.set_data(original.to(torch::kFloat32, false, /*copy=*/true).contiguous());
      opened_.push_back({module, linear->weight, original, {}});
      return linear->weight;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, "'", module, "' is not a linear layer of the model to edit");
}

peft::Adapter& EditSession::adopt(std::unique_ptr<peft::Adapter> adapter) {
  adapters_.push_back(std::move(adapter));
  return *adapters_.back();
}

void EditSession::show_base(bool base) {
  for (Opened& opened : opened_) {
    if (base && !opened.edited.defined()) {
      opened.edited = opened.parameter.variable_data();
      opened.parameter.set_data(opened.original);
    } else if (!base && opened.edited.defined()) {
      opened.parameter.set_data(std::exchange(opened.edited, {}));
    }
  }
  for (const auto& adapter : adapters_) {
    adapter->set_enabled(!base);
  }
}

std::vector<NamedTensor> EditSession::deltas() const {
  const torch::NoGradGuard no_grad;
  std::vector<NamedTensor> deltas;
  for (const Opened& opened : opened_) {
    const torch::Tensor edited = opened.edited.defined() ? opened.edited : opened.parameter;
    deltas.emplace_back(
        opened.module, edited.detach().to(torch::kFloat32) - opened.original.to(torch::kFloat32));
  }
  return deltas;
}

void EditSession::rollback() noexcept {
  adapters_.clear();
  for (Opened& opened : opened_) {
    opened.parameter.set_data(opened.original);
  }
  opened_.clear();
}

std::vector<std::unique_ptr<peft::Adapter>> EditSession::commit() {
  show_base(false);
  opened_.clear();
  return std::exchange(adapters_, {});
}

} // namespace errata::editing
