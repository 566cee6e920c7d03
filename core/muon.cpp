#include "core/muon.h"

#include <algorithm>
#include <cmath>

namespace errata {
namespace {

constexpr double kA = 3.4445;
constexpr double kB = -4.7750;
constexpr double kC = 2.0315;
constexpr int kIterations = 5;
constexpr double kSmallestNorm = 1e-7;

class Muon final : public OptimizerRule {
 public:
  Muon(
      FlatParameters& parameters,
      const FlatParameters::Group& group,
      const OptimizerOptions& options)
      : options_(options),
        stacks_(group.stacks),
        values_(parameters.values(group)),
        gradients_(parameters.gradients(group)),
        momentum_(torch::zeros_like(values_)),
        update_(torch::zeros_like(values_)) {
    for (MatrixStack& stack : stacks_) {
      stack.offset -= group.offset;
    }
  }

  void step(double lr) override {
    momentum_.lerp_(gradients_, 1.0 - options_.momentum);
    torch::lerp_out(update_, gradients_, momentum_, options_.momentum);
    if (options_.weight_decay != 0.0) {
      values_.mul_(1.0 - lr * options_.weight_decay);
    }
    for (const MatrixStack& stack : stacks_) {
      const double longest = static_cast<double>(std::max(stack.rows, stack.cols));
      const double rate = lr * 0.2 * std::sqrt(longest);
      stack.view(values_).add_(newton_schulz(stack.view(update_), options_.iteration_dtype), -rate);
    }
  }

  std::vector<NamedTensor> state() override { return {{"momentum", momentum_}}; }

 private:
  OptimizerOptions options_;
  std::vector<MatrixStack> stacks_;
  torch::Tensor values_;
  torch::Tensor gradients_;
  torch::Tensor momentum_;
  torch::Tensor update_;
};

} // namespace

torch::Tensor newton_schulz(const torch::Tensor& matrices, torch::Dtype dtype) {
  // The Gram matrix is taken over the longer side.
  const bool tall = matrices.size(1) > matrices.size(2);
  torch::Tensor x = (tall ? matrices.transpose(1, 2) : matrices).to(dtype).contiguous();
  x = x / torch::linalg_vector_norm(x, 2, {1, 2}, /*keepdim=*/true).clamp_min(kSmallestNorm);
  for (int i = 0; i < kIterations; ++i) {
    const torch::Tensor gram = torch::bmm(x, x.transpose(1, 2));
    const torch::Tensor polynomial = torch::baddbmm(gram, gram, gram, kB, kC);
    x = torch::baddbmm(x, polynomial, x, kA, 1.0);
  }
  return tall ? x.transpose(1, 2) : x;
}

std::unique_ptr<OptimizerRule> make_muon(
    FlatParameters& parameters,
    const FlatParameters::Group& group,
    const OptimizerOptions& options) {
  return std::make_unique<Muon>(parameters, group, options);
}

} // namespace errata
