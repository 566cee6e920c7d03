#include "editing/locate/module_record.h"

#include "core/base/error.h"

namespace errata::editing {

class ModuleRecord::Listener final : public ModuleAttachment {
 public:
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) override {
    input = x.detach();
    output = y.detach();
    return y;
  }

  torch::Tensor input;
  torch::Tensor output;
};

ModuleRecord::ModuleRecord(const Decoder& model, const std::string& module)
    : listener_(std::make_shared<Listener>()) {
  for (const auto& [name, linear] : model->linears()) {
    if (name == module) {
      linear_ = linear;
    }
  }
  ERRATA_CHECK(!linear_.is_empty(), ErrorCode::kInternal, "no linear layer '", module, "'");
  linear_->attach(listener_);
}

ModuleRecord::~ModuleRecord() {
  linear_->detach(listener_.get());
}

const torch::Tensor& ModuleRecord::input() const {
  return listener_->input;
}

const torch::Tensor& ModuleRecord::output() const {
  return listener_->output;
}

} // namespace errata::editing
