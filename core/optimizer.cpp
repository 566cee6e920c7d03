#include "core/optimizer.h"

#include "core/base/error.h"
#include "core/muon.h"

namespace errata {
namespace {

class AdamW final : public OptimizerRule {
 public:
  AdamW(
      FlatParameters& parameters,
      const FlatParameters::Group& group,
      const OptimizerOptions& options)
      : options_(options),
        values_(parameters.values(group)),
        gradients_(parameters.gradients(group)),
        exp_avg_(torch::zeros_like(values_)),
        exp_avg_sq_(torch::zeros_like(values_)),
        steps_(torch::zeros({}, values_.options())) {}

  void step(double lr) override {
    steps_.add_(1);
    torch::_fused_adamw_(
        {values_},
        {gradients_},
        {exp_avg_},
        {exp_avg_sq_},
        /*max_exp_avg_sqs=*/{},
        {steps_},
        lr,
        options_.beta1,
        options_.beta2,
        options_.weight_decay,
        options_.eps,
        /*amsgrad=*/false,
        /*maximize=*/false);
  }

  std::vector<NamedTensor> state() override {
    return {{"exp_avg", exp_avg_}, {"exp_avg_sq", exp_avg_sq_}, {"steps", steps_}};
  }

 private:
  OptimizerOptions options_;
  torch::Tensor values_;
  torch::Tensor gradients_;
  torch::Tensor exp_avg_;
  torch::Tensor exp_avg_sq_;
  torch::Tensor steps_;
};

class Sgd final : public OptimizerRule {
 public:
  Sgd(FlatParameters& parameters,
      const FlatParameters::Group& group,
      const OptimizerOptions& options)
      : options_(options),
        values_(parameters.values(group)),
        gradients_(parameters.gradients(group)),
        momentum_(torch::zeros_like(values_)) {}

  void step(double lr) override {
    // A zero buffer makes the first step the plain gradient, as torch.optim.SGD starts.
    momentum_.mul_(options_.momentum).add_(gradients_);
    if (options_.weight_decay != 0.0) {
      momentum_.add_(values_, options_.weight_decay);
    }
    values_.add_(momentum_, -lr);
  }

  std::vector<NamedTensor> state() override { return {{"momentum", momentum_}}; }

 private:
  OptimizerOptions options_;
  torch::Tensor values_;
  torch::Tensor gradients_;
  torch::Tensor momentum_;
};

std::unique_ptr<OptimizerRule> make_rule(
    FlatParameters& parameters,
    const FlatParameters::Group& group,
    const OptimizerOptions& options) {
  switch (options.kind) {
    case OptimizerKind::kAdamW:
      return std::make_unique<AdamW>(parameters, group, options);
    case OptimizerKind::kSgd:
      return std::make_unique<Sgd>(parameters, group, options);
    case OptimizerKind::kMuon:
      break;
  }
  for (std::size_t i = group.first; i < group.first + group.count; ++i) {
    ERRATA_CHECK(
        parameters.entries()[i].parameter.dim() == 2,
        ErrorCode::kInvalidArgument,
        "Muon trains matrices only; '",
        parameters.entries()[i].name,
        "' is none: use adamw");
  }
  return make_muon(parameters, group, options);
}

} // namespace

std::string_view to_string(OptimizerKind kind) noexcept {
  switch (kind) {
    case OptimizerKind::kAdamW:
      return "adamw";
    case OptimizerKind::kSgd:
      return "sgd";
    case OptimizerKind::kMuon:
      return "muon";
  }
  return "adamw";
}

OptimizerKind parse_optimizer(std::string_view text) {
  for (const OptimizerKind kind :
       {OptimizerKind::kAdamW, OptimizerKind::kSgd, OptimizerKind::kMuon}) {
    if (text == to_string(kind)) {
      return kind;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, "optimizer '", text, "' is unknown; use adamw, sgd or muon");
}

std::vector<ParameterGroup> split_parameters(
    const std::vector<NamedTensor>& parameters,
    const OptimizerOptions& matrices,
    const OptimizerOptions& others) {
  ParameterGroup hidden{{}, matrices};
  ParameterGroup rest{{}, others};
  for (const NamedTensor& parameter : parameters) {
    const std::string& name = parameter.first;
    const bool table = name.find("embed_tokens") != std::string::npos ||
                       name.find(".wte.") != std::string::npos ||
                       name.find(".wpe.") != std::string::npos || name.rfind("lm_head", 0) == 0;
    (parameter.second.dim() == 2 && !table ? hidden : rest).parameters.push_back(parameter);
  }
  std::vector<ParameterGroup> groups;
  for (ParameterGroup* group : {&hidden, &rest}) {
    if (!group->parameters.empty()) {
      groups.push_back(std::move(*group));
    }
  }
  return groups;
}

Optimizer::Optimizer(FlatParameters& parameters, const std::vector<OptimizerOptions>& options) {
  ERRATA_CHECK(
      options.size() == parameters.groups().size(),
      ErrorCode::kInternal,
      "optimizer options do not fit the parameter groups");
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < options.size(); ++i) {
    rates_.push_back(options[i].lr);
    rules_.push_back(make_rule(parameters, parameters.groups()[i], options[i]));
  }
}

void Optimizer::step(double lr_factor) {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    rules_[i]->step(rates_[i] * lr_factor);
  }
}

std::vector<NamedTensor> Optimizer::state() {
  std::vector<NamedTensor> all;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    for (auto& [name, tensor] : rules_[i]->state()) {
      all.emplace_back(concat("group", i, ".", name), tensor);
    }
  }
  return all;
}

} // namespace errata
