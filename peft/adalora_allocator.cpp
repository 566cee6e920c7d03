#include "core/base/error.h"
#include "peft/adalora.h"

#include <map>
#include <string>
#include <utility>

namespace errata::peft {
namespace {

// The gradient of || M M^T - I ||_F with respect to M [r, n].
torch::Tensor orthogonality_gradient(const torch::Tensor& m) {
  const torch::Tensor gap = torch::mm(m, m.t()) - torch::eye(m.size(0), m.options());
  return torch::mm(gap, m).mul_(2.0 / gap.norm().clamp_min(1e-12));
}

} // namespace

RankAllocator::RankAllocator(FlatParameters& parameters, const AdaLoraConfig& config)
    : config_(config),
      importance_(torch::zeros_like(parameters.values())),
      uncertainty_(torch::zeros_like(parameters.values())),
      step_(torch::zeros({}, torch::kInt64)) {
  const std::vector<FlatParameters::Entry>& entries = parameters.entries();
  std::map<std::string, Triplets> found;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& name = entries[i].name;
    const std::size_t dot = name.rfind('.');
    if (name.find(".lora_") != dot) {
      continue; // a bias, or a copy of a module
    }
    Triplets& module = found[name.substr(0, dot)];
    module.module = name.substr(0, dot);
    const std::string leaf = name.substr(dot + 1);
    (leaf == "lora_A" ? module.a : leaf == "lora_B" ? module.b : module.e) = i;
  }
  for (const auto& [name, module] : found) {
    modules_.push_back(module);
    triplets_ += entries[module.e].parameter.size(0);
  }
  kept_ = torch::ones({triplets_}, parameters.values().options());
}

void RankAllocator::begin(std::int64_t steps) {
  if (config_.total_step == 0) {
    config_.total_step = steps;
    config_.tinit = steps / 10;
    config_.tfinal = steps / 3;
  }
  ERRATA_CHECK(
      config_.total_step > config_.tinit + config_.tfinal,
      ErrorCode::kInvalidArgument,
      "AdaLoRA: total_step ",
      config_.total_step,
      " must be above tinit + tfinal, ",
      config_.tinit + config_.tfinal);
}

std::vector<NamedTensor> RankAllocator::state() {
  return {
      {"importance", importance_}, {"uncertainty", uncertainty_}, {"kept", kept_}, {"step", step_}};
}

std::int64_t RankAllocator::budget(std::int64_t step) const {
  const auto target = config_.target_r * static_cast<std::int64_t>(modules_.size());
  if (step <= config_.tinit) {
    return triplets_;
  }
  if (step > config_.total_step - config_.tfinal) {
    return target;
  }
  const double left =
      1.0 - static_cast<double>(step - config_.tinit) /
                static_cast<double>(config_.total_step - config_.tfinal - config_.tinit);
  return static_cast<std::int64_t>(
      static_cast<double>(triplets_ - target) * left * left * left + static_cast<double>(target));
}

void RankAllocator::gradients_ready(FlatParameters& parameters) {
  if (config_.orth_reg_weight == 0) {
    return;
  }
  // The mean over the matrices, two a module.
  const double share = config_.orth_reg_weight / (2.0 * static_cast<double>(modules_.size()));
  for (const Triplets& module : modules_) {
    const FlatParameters::Entry& a = parameters.entries()[module.a];
    const FlatParameters::Entry& b = parameters.entries()[module.b];
    FlatParameters::part(parameters.gradients(), a)
        .add_(orthogonality_gradient(a.parameter.detach()), share);
    FlatParameters::part(parameters.gradients(), b)
        .add_(orthogonality_gradient(b.parameter.detach().t()).t(), share);
  }
}

void RankAllocator::after_update(FlatParameters& parameters, double /*lr_factor*/) {
  const std::int64_t step = step_.add_(1).item<std::int64_t>();
  const std::int64_t last = config_.total_step - config_.tfinal;
  if (step <= last) {
    score(parameters);
    if (step == last || (step > config_.tinit && step % config_.delta_t == 0)) {
      choose(parameters, budget(step));
      mask(parameters);
    }
  } else {
    mask(parameters);
  }
}

void RankAllocator::score(FlatParameters& parameters) {
  torch::Tensor sensitivity = (parameters.values() * parameters.gradients()).abs_();
  importance_.mul_(config_.beta1).add_(sensitivity, 1 - config_.beta1);
  uncertainty_.mul_(config_.beta2).add_(sensitivity.sub_(importance_).abs_(), 1 - config_.beta2);
}

void RankAllocator::choose(const FlatParameters& parameters, std::int64_t budget) {
  const torch::Tensor scores = importance_ * uncertainty_;
  std::vector<torch::Tensor> all;
  for (const Triplets& module : modules_) {
    const auto of = [&](std::size_t entry) {
      return FlatParameters::part(scores, parameters.entries()[entry]);
    };
    all.push_back(of(module.e).flatten() + of(module.a).mean(1) + of(module.b).mean(0));
  }
  const torch::Tensor total = torch::cat(all);
  const std::int64_t dropped = triplets_ - budget;
  if (dropped <= 0) {
    kept_.fill_(1);
    return;
  }
  const torch::Tensor threshold = std::get<0>(torch::kthvalue(total, dropped));
  kept_.copy_(total.gt(threshold));
}

void RankAllocator::mask(const FlatParameters& parameters) const {
  std::int64_t place = 0;
  for (const Triplets& module : modules_) {
    torch::Tensor e = parameters.entries()[module.e].parameter.detach();
    e.mul_(kept_.slice(0, place, place + e.size(0)).unsqueeze(1));
    place += e.size(0);
  }
}

} // namespace errata::peft
