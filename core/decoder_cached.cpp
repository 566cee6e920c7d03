#include "core/base/error.h"
#include "core/decoder_parts.h"
#include "core/kv_cache.h"

namespace errata {

torch::Tensor DecoderImpl::hidden_cached(const torch::Tensor& ids, KvCache& cache) {
  const torch::NoGradGuard no_grad;
  ERRATA_CHECK(
      ids.dim() == 2 && ids.size(0) == cache.rows() && ids.size(1) > 0,
      ErrorCode::kInternal,
      "hidden_cached: ids of ",
      ids.sizes(),
      " for a cache of ",
      cache.rows(),
      " rows");
  const std::int64_t steps = ids.size(1);
  torch::Tensor x = parts_->embed(ids.reshape(-1), config_, compute_dtype_);
  const auto angles =
      parts_->angles(cache.next_positions(steps), cache.longest() + steps, compute_dtype_);
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    const AttentionShape shape = attention_shape(config_, i);
    const Attend attend = [&](const torch::Tensor& q,
                              const torch::Tensor& k,
                              const torch::Tensor& v) { return cache.attend(i, q, k, v, shape); };
    x = parts_->layer(i)->forward(x, angles[parts_->rope_of_layer(i)], attend, 0.0);
  }
  cache.advance(steps);
  return parts_->model->norm(x).view({cache.rows(), steps, config_.hidden_size});
}

} // namespace errata
