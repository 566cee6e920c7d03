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
  const torch::Tensor positions = cache.next_positions(steps);
  const std::int64_t limit = cache.longest() + steps;
  torch::Tensor x = parts_->embed(ids.reshape(-1), positions, limit, config_, compute_dtype_);
  const torch::Tensor lengths =
      parts_->looks_at_lengths() ? cache.next_lengths(steps) : torch::Tensor();
  const auto angles = parts_->angles(positions, lengths, limit, compute_dtype_);
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    const AttentionShape shape = attention_shape(config_, i);
    const Attend attend = [&](const torch::Tensor& q,
                              const torch::Tensor& k,
                              const torch::Tensor& v) { return cache.attend(i, q, k, v, shape); };
    LayerPass pass{parts_->of_layer(angles, i), attend, {}, 0.0};
    if (RecurrentState* const state = cache.recurrent_state(i)) {
      pass.recurrent = {{{0, cache.rows(), steps}}, state, cache.begins()};
    }
    x = parts_->layer(i)->forward(x, pass);
  }
  cache.advance(steps);
  return parts_->model->norm->forward(x).view({cache.rows(), steps, config_.hidden_size});
}

} // namespace errata
