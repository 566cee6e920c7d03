#pragma once

#include "core/adaptable.h"
#include "core/torch.h"

namespace errata {

/// A table of vectors [entries, hidden], of tokens or of positions: the row of each id.
class TokenEmbeddingImpl : public AdaptableImpl {
 public:
  TokenEmbeddingImpl(std::int64_t entries, std::int64_t hidden, torch::TensorOptions options) {
    own_weight(torch::empty({entries, hidden}, options));
  }

  /// Of ids [rows]: [rows, hidden].
  torch::Tensor forward(const torch::Tensor& ids, torch::Dtype dtype) {
    return adapted(ids, dtype);
  }
  torch::Tensor compute(
      const torch::Tensor& ids,
      const ModuleParameters& parameters,
      torch::Dtype dtype) const override {
    return torch::embedding(parameters.weight, ids).to(dtype);
  }
};
TORCH_MODULE(TokenEmbedding);

} // namespace errata
