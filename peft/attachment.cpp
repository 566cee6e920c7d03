#include "peft/attachment.h"

namespace errata::peft {
namespace {

torch::Tensor times(torch::Tensor change, double weight) {
  return weight == 1.0 || !change.defined() ? change : change.mul_(weight);
}

// `kept` plus the sum of what `delta_of` gives for each merged attachment.
template <typename DeltaOf>
torch::Tensor merged_value(
    const AdaptableImpl& module, const torch::Tensor& kept, const DeltaOf& delta_of) {
  torch::Tensor sum;
  for (const auto& entry : module.attachments()) {
    const auto* attachment = dynamic_cast<const Attachment*>(entry.get());
    if (attachment != nullptr && attachment->kept != nullptr && attachment->enabled) {
      const torch::Tensor delta = delta_of(*attachment);
      if (delta.defined()) {
        sum = sum.defined() ? sum.add_(delta) : delta;
      }
    }
  }
  return sum.defined() ? sum.add_(kept).to(kept.scalar_type()) : kept;
}

} // namespace

torch::Tensor Attachment::prepare(const torch::Tensor& x) {
  if (!changes_input() || !active()) {
    return x;
  }
  return rows.defined() ? x.index_copy(0, rows, input(x.index_select(0, rows))) : input(x);
}

torch::Tensor Attachment::apply(const torch::Tensor& x, const torch::Tensor& y) {
  if (!active()) {
    return y;
  }
  return rows.defined()
             ? y.index_copy(0, rows, branch(x.index_select(0, rows), y.index_select(0, rows)))
             : branch(x, y);
}

const ModuleParameters* Attachment::in_place() const {
  return active() && !rows.defined() && weight == 1.0 ? whole() : nullptr;
}

torch::Tensor Attachment::delta() const {
  const torch::NoGradGuard no_grad;
  return times(change(), weight);
}

torch::Tensor Attachment::bias_delta() const {
  const torch::NoGradGuard no_grad;
  return times(bias_change(), weight);
}

DeltaAttachment::DeltaAttachment(torch::Tensor delta) : delta_(std::move(delta)) {}

NamedTensors DeltaAttachment::named_tensors() const {
  return {{"delta", delta_}};
}

torch::Tensor DeltaAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  if (!cast_.defined() || cast_.scalar_type() != x.scalar_type()) {
    cast_ = delta_.to(x.scalar_type());
  }
  const torch::Tensor input = x.reshape({-1, x.size(-1)});
  const torch::Tensor output = y.reshape({-1, y.size(-1)});
  if (torch::GradMode::is_enabled()) {
    return torch::addmm(output, input, cast_.t(), 1.0, weight).view(y.sizes());
  }
  torch::Tensor result = output;
  result.addmm_(input, cast_.t(), 1.0, weight);
  return result.view(y.sizes());
}

torch::Tensor DeltaAttachment::change() const {
  return delta_.clone();
}

std::shared_ptr<const ModuleParameters> kept_parameters(const AdaptableImpl& module) {
  for (const auto& entry : module.attachments()) {
    const auto* attachment = dynamic_cast<const Attachment*>(entry.get());
    if (attachment != nullptr && attachment->kept != nullptr) {
      return attachment->kept;
    }
  }
  return nullptr;
}

void rewrite_merged(AdaptableImpl& module, const ModuleParameters& kept) {
  const torch::NoGradGuard no_grad;
  ModuleParameters merged;
  merged.weight = merged_value(
      module, kept.weight, [](const Attachment& attachment) { return attachment.delta(); });
  if (kept.bias.defined()) {
    merged.bias = merged_value(
        module, kept.bias, [](const Attachment& attachment) { return attachment.bias_delta(); });
  }
  module.replace(merged);
}

} // namespace errata::peft
