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
LowRank pissa_factors(
    const AdapterConfig& config,
    const torch::Tensor& weight,
    std::int64_t rank,
    double scale,
    torch::Generator& generator) {
  const SingularTriples triples = largest_triples(weight, rank, config.pissa_niter, generator);
  const torch::Tensor root = (triples.s / scale).sqrt();
  return {root.unsqueeze(1) * triples.v, triples.u * root};
}

// 2406.01775, section 3.1.
LowRank olora_factors(const torch::Tensor& weight, std::int64_t rank) {
  const auto [q, r] = torch::linalg_qr(weight);
  return {r.slice(0, 0, rank).contiguous(), q.slice(1, 0, rank).contiguous()};
}

} // namespace

SingularTriples largest_triples(
    const torch::Tensor& matrix,
    std::int64_t rank,
    std::int64_t iterations,
    torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  constexpr std::int64_t kOversampling = 8;
  const std::int64_t smaller = std::min(matrix.size(0), matrix.size(1));
  const std::int64_t width = rank + kOversampling;
  if (iterations == 0 || width >= smaller) {
    const auto [u, s, v] = torch::linalg_svd(matrix, /*full_matrices=*/false);
    return {u.slice(1, 0, rank), s.slice(0, 0, rank), v.slice(0, 0, rank)};
  }
  const torch::Tensor random =
      torch::empty({matrix.size(1), width}).normal_(0, 1, generator).to(matrix.device());
  torch::Tensor q = std::get<0>(torch::linalg_qr(matrix.mm(random)));
  for (std::int64_t i = 0; i < iterations; ++i) {
    const torch::Tensor back = std::get<0>(torch::linalg_qr(matrix.t().mm(q)));
    q = std::get<0>(torch::linalg_qr(matrix.mm(back)));
  }
  const auto [u, s, v] = torch::linalg_svd(q.t().mm(matrix), /*full_matrices=*/false);
  return {q.mm(u.slice(1, 0, rank)), s.slice(0, 0, rank), v.slice(0, 0, rank)};
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
    start.factors = config.init == LoraInit::kPissa
                        ? pissa_factors(config, whole, rank, scale, generator)
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
