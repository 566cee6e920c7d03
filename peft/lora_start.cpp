#include "peft/lora_start.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {
namespace {

// Random A, zero B: the change is zero whatever A is.
LowRank fresh_factors(
    const AdapterConfig& config,
    const torch::Tensor& weight,
    std::int64_t rank,
    torch::Generator& generator) {
  const std::int64_t in = weight.size(1);
  torch::Tensor a = torch::empty({rank, in});
  if (config.init == LoraInit::kGaussian) {
    a.normal_(0, 1.0 / static_cast<double>(rank), generator);
  } else {
    const double bound = 1.0 / std::sqrt(static_cast<double>(in));
    a.uniform_(-bound, bound, generator);
  }
  return {a, torch::zeros({weight.size(0), rank})};
}

// 2404.02948, equations 2 and 3.
LowRank pissa_factors(const torch::Tensor& weight, std::int64_t rank, double scale) {
  const SingularTriples triples = largest_triples(weight, rank);
  const torch::Tensor root = (triples.s / scale).sqrt();
  return {root.unsqueeze(1) * triples.v, triples.u * root};
}

// 2406.01775, section 3.1.
LowRank olora_factors(const torch::Tensor& weight, std::int64_t rank) {
  const auto [q, r] = torch::linalg_qr(weight);
  return {r.slice(0, 0, rank).contiguous(), q.slice(1, 0, rank).contiguous()};
}

} // namespace

SingularTriples largest_triples(const torch::Tensor& matrix, std::int64_t rank) {
  const torch::NoGradGuard no_grad;
  const auto [u, s, v] = torch::linalg_svd(matrix, /*full_matrices=*/false);
  return {u.slice(1, 0, rank), s.slice(0, 0, rank), v.slice(0, 0, rank)};
}

LoraStart start_lora(
    const AdapterConfig& config,
    const torch::Tensor& weight,
    std::int64_t rank,
    double scale,
    torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  const bool from_weight = config.init == LoraInit::kPissa || config.init == LoraInit::kOlora;
  LoraStart start;
  if (from_weight) {
    const std::int64_t smaller = std::min(weight.size(0), weight.size(1));
    ERRATA_CHECK(
        rank <= smaller,
        ErrorCode::kInvalidArgument,
        "rank ",
        rank,
        " with PiSSA or OLoRA on a weight of ",
        weight.sizes(),
        "; expected at most ",
        smaller);
    const torch::Tensor whole = weight.detach().to(torch::kFloat32);
    start.factors = config.init == LoraInit::kPissa ? pissa_factors(whole, rank, scale)
                                                    : olora_factors(whole, rank);
    start.from = {start.factors.a.clone(), start.factors.b.clone()};
  } else {
    start.factors = fresh_factors(config, weight, rank, generator);
  }
  for (torch::Tensor* factor : {&start.factors.a, &start.factors.b}) {
    *factor = factor->to(weight.device()).contiguous().requires_grad_(true);
  }
  return start;
}

} // namespace errata::peft
