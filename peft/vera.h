#pragma once

#include "peft/adapter_types.h"
#include "peft/attachment.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace errata::peft {

/// VeRA (2310.11454): PEFT's VERA.
const AdapterType& vera_type();

/// One of the two matrices that all modules share, of which each takes the first columns (A) or
/// rows (B): cast once to the dtype that its modules compute in, whatever their number.
class VeraProjection {
 public:
  /// Modules take the first entries along `dimension` of `whole`.
  VeraProjection(torch::Tensor whole, std::int64_t dimension);

  const torch::Tensor& whole() const { return whole_; }
  torch::Tensor part(std::int64_t size) const { return whole_.slice(dimension_, 0, size); }
  torch::Tensor part(std::int64_t size, torch::Dtype dtype);

 private:
  struct Cast {
    torch::Tensor values;
    std::int64_t version = 0; ///< of `whole_`, which a file's values replace in place
  };

  torch::Tensor whole_;
  std::int64_t dimension_;
  std::mutex casting_; ///< passes of several threads share the casts
  std::map<std::pair<std::int64_t, torch::Dtype>, Cast> casts_;
};

/// `y + weight * l_b * (B (l_d * (A x)))` (equation 2): A [r, in] and B [out, r] are frozen parts
/// of a random pair that all modules share; l_d [r] and l_b [out] are trained.
class VeraAttachment final : public Attachment {
 public:
  VeraAttachment(
      std::shared_ptr<VeraProjection> a,
      std::shared_ptr<VeraProjection> b,
      std::int64_t in,
      torch::Tensor l_d,
      torch::Tensor l_b,
      double dropout);

  NamedTensors named_tensors() const override;
  bool reentrant() const override { return dropout_ == 0; }

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  std::shared_ptr<VeraProjection> a_;
  std::shared_ptr<VeraProjection> b_;
  std::int64_t in_;
  torch::Tensor l_d_;
  torch::Tensor l_b_;
  double dropout_;
};

} // namespace errata::peft
