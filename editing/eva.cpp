#include "editing/eva.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace errata::editing {
namespace {

/// The principal directions of some inputs, the largest first.
struct Principal {
  torch::Tensor directions;  ///< rows [most, in], float32
  std::vector<double> share; ///< of the variance, each
};

Principal principal_directions(const InputMoment& moment, std::int64_t most) {
  const torch::Tensor covariance = moment.second - torch::outer(moment.mean, moment.mean);
  const auto [values, vectors] = torch::linalg_eigh(covariance, "L"); // ascending
  const std::int64_t in = values.size(0);
  Principal result;
  torch::Tensor rows = vectors.slice(1, in - most, in).flip({1}).t();
  // A sign of its own for every direction, whatever the solver likes.
  const torch::Tensor largest = rows.gather(1, rows.abs().argmax(1, /*keepdim=*/true));
  rows = rows * torch::where(largest < 0, -1.0, 1.0);
  result.directions = rows.to(torch::kFloat32).contiguous();
  const double whole = covariance.diagonal().sum().item<double>();
  for (std::int64_t i = in - 1; i >= in - most; --i) {
    // Rounding may leave less than nothing of a direction without variance.
    result.share.push_back(whole > 0 ? std::max(0.0, values[i].item<double>()) / whole : 0.0);
  }
  return result;
}

// Modules with one input have one set of directions.
class PrincipalOfInputs {
 public:
  PrincipalOfInputs(std::int64_t rank, double rho) : rank_(rank), rho_(rho) {}

  const Principal& of(const std::string& module, const InputMoment& moment) {
    const std::int64_t in = moment.mean.size(0);
    ERRATA_CHECK(
        rank_ <= in,
        ErrorCode::kInvalidArgument,
        "--rank ",
        rank_,
        " with --init eva on ",
        module,
        ", whose inputs have ",
        in,
        " directions; expected at most as many");
    const auto key = moment.second.unsafeGetTensorImpl();
    const auto known = computed_.find(key);
    if (known != computed_.end()) {
      return known->second;
    }
    // Halves to even, as Python rounds.
    const double most = std::nearbyint(rho_ * static_cast<double>(rank_));
    const auto size = static_cast<std::int64_t>(std::min(most, static_cast<double>(in)));
    return computed_.emplace(key, principal_directions(moment, size)).first->second;
  }

 private:
  std::int64_t rank_;
  double rho_;
  std::map<const void*, Principal> computed_;
};

// How many directions each module gets of `budget`; every list is in falling order.
std::vector<std::int64_t> share_out(
    const std::vector<const Principal*>& principals, std::int64_t budget) {
  struct Candidate {
    double share;
    std::size_t module;
  };
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < principals.size(); ++i) {
    for (const double share : principals[i]->share) {
      candidates.push_back({share, i});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.share > b.share;
  });
  std::vector<std::int64_t> ranks(principals.size(), 0);
  const auto taken = std::min(candidates.size(), static_cast<std::size_t>(budget));
  for (std::size_t i = 0; i < taken; ++i) {
    ++ranks[candidates[i].module];
  }
  return ranks;
}

} // namespace

std::map<std::string, torch::Tensor> eva_directions(
    const std::vector<std::string>& modules,
    const std::map<std::string, InputMoment>& moments,
    std::int64_t rank,
    double rho) {
  const torch::NoGradGuard no_grad;
  PrincipalOfInputs principal(rank, rho);
  std::vector<std::string> seen;
  std::vector<const Principal*> principals;
  for (const std::string& module : modules) {
    const auto moment = moments.find(module);
    if (moment != moments.end()) {
      seen.push_back(module);
      principals.push_back(&principal.of(module, moment->second));
    }
  }
  const auto ranks = share_out(principals, rank * static_cast<std::int64_t>(seen.size()));
  std::map<std::string, torch::Tensor> directions;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    directions.emplace(seen[i], principals[i]->directions.slice(0, 0, ranks[i]));
  }
  return directions;
}

peft::AdapterConfig with_ranks(
    peft::AdapterConfig config,
    const std::vector<std::string>& modules,
    const std::map<std::string, std::int64_t>& ranks) {
  std::vector<std::string> kept;
  for (const std::string& module : modules) {
    const auto found = ranks.find(module);
    const std::int64_t rank = found == ranks.end() ? config.r : found->second;
    if (rank == 0) {
      continue;
    }
    kept.push_back(module);
    if (rank != config.r) {
      const double share = static_cast<double>(rank) / static_cast<double>(config.r);
      config.rank_pattern.emplace_back(module, rank);
      config.alpha_pattern.emplace_back(module, config.lora_alpha * share);
    }
  }
  if (kept.size() < modules.size()) {
    config.target_regex.reset();
    config.layers_to_transform.clear();
    config.target_modules = std::move(kept);
  }
  return config;
}

} // namespace errata::editing
