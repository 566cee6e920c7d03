#include "core/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace errata {
namespace {

// Llama 3.1: `modeling_rope_utils.py` of transformers, `_compute_llama3_parameters`.
double llama3_frequency(double frequency, double factor, const Llama3Rope& rope) {
  const auto original = static_cast<double>(rope.original_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / rope.high_freq_factor) {
    return frequency;
  }
  if (wavelength > original / rope.low_freq_factor) {
    return frequency / factor;
  }
  const double kept = (original / wavelength - rope.low_freq_factor) /
                      (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - kept) * frequency / factor + kept * frequency;
}

// How much of the frequency of pair j is divided: 2309.00071, section 3.2, in dimensions as
// transformers' `_compute_yarn_parameters` has it.
class YarnRamp {
 public:
  YarnRamp(const YarnRope& rope, double base, std::int64_t dims) {
    const auto dim = static_cast<double>(dims);
    const auto dimension_of = [&](double turns) {
      return dim *
             std::log(
                 static_cast<double>(rope.original_positions) / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(base));
    };
    low_ = dimension_of(rope.beta_fast);
    high_ = dimension_of(rope.beta_slow);
    if (rope.truncate) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, dim - 1);
    if (low_ == high_) {
      constexpr double kNoSingularity = 0.001;
      high_ += kNoSingularity;
    }
  }

  double at(std::size_t j) const {
    return std::clamp((static_cast<double>(j) - low_) / (high_ - low_), 0.0, 1.0);
  }

 private:
  double low_;
  double high_;
};

} // namespace

torch::Tensor rope_frequencies(const RopeConfig& config, std::int64_t dims, torch::Dtype dtype) {
  const auto options = torch::TensorOptions().dtype(dtype);
  const torch::Tensor exponents =
      torch::arange(0, dims, 2, options).div_(static_cast<double>(dims));
  const torch::Tensor plain = torch::pow(config.base, exponents).reciprocal_();
  if (config.dynamic) { // up to the original positions
    return plain;
  }
  if (!config.llama3 && !config.yarn) {
    return plain.div_(config.factor);
  }
  const torch::Tensor wide = plain.to(torch::kFloat64).contiguous();
  auto* frequency = wide.data_ptr<double>();
  for (std::size_t j = 0; j < static_cast<std::size_t>(dims / 2); ++j) {
    if (config.llama3) {
      frequency[j] = llama3_frequency(frequency[j], config.factor, *config.llama3);
    } else {
      const double divided = YarnRamp(*config.yarn, config.base, dims).at(j);
      frequency[j] *= divided / config.factor + (1 - divided);
    }
  }
  return wide.to(dtype);
}

} // namespace errata
