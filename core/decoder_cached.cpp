#include "core/base/error.h"
#include "core/decoder_parts.h"
#include "core/kv_cache.h"

#include <algorithm>
#include <numeric>

namespace errata {
namespace {

// The rows [rows * steps] of the first `length` steps of each sequence.
torch::Tensor first_steps(std::int64_t rows, std::int64_t steps, std::int64_t length) {
  return (torch::arange(rows).unsqueeze(1) * steps + torch::arange(length).unsqueeze(0)).flatten();
}

} // namespace

bool DecoderImpl::takes_unequal_steps() const {
  return active_input() == nullptr &&
         std::none_of(config_.layers.begin(), config_.layers.end(), [](const LayerConfig& layer) {
           return layer.recurrent;
         });
}

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
  InputAttachment* const input = active_input();
  // Where nothing has come yet, what stands in front comes first.
  const std::int64_t front = input != nullptr && cache.longest() == 0 ? input->length() : 0;
  const torch::Tensor all = front == 0 ? ids : torch::constant_pad_nd(ids, {front, 0});
  const std::int64_t steps = all.size(1);
  cache.begin(std::vector<std::int64_t>(static_cast<std::size_t>(cache.rows()), steps));
  const torch::Tensor positions = cache.next_positions();
  torch::Tensor x =
      parts_->embed(all.reshape(-1), positions, cache.next_longest(), config_, compute_dtype_);
  torch::Tensor prefix_rows;
  if (front > 0) {
    prefix_rows = first_steps(cache.rows(), steps, front).to(ids.device());
    x = parts_->put_vectors(x, prefix_rows, input->vectors(), positions, config_);
  }
  x = run_cached(x, positions, prefix_rows, {}, cache);
  if (front > 0) {
    x = x.view({cache.rows(), steps, -1}).slice(1, front).reshape({-1, config_.hidden_size});
  }
  return parts_->model->norm->forward(x).view({cache.rows(), steps - front, config_.hidden_size});
}

torch::Tensor DecoderImpl::hidden_cached(
    const torch::Tensor& ids,
    const std::vector<std::int64_t>& steps,
    KvCache& cache,
    const torch::Tensor& wanted) {
  const torch::NoGradGuard no_grad;
  ERRATA_CHECK(
      takes_unequal_steps() && ids.numel() == std::accumulate(steps.begin(), steps.end(), 0LL),
      ErrorCode::kInternal,
      "hidden_cached: ",
      ids.numel(),
      " ids for ",
      steps.size(),
      " rows");
  cache.begin(steps);
  const torch::Tensor positions = cache.next_positions();
  const torch::Tensor x =
      parts_->embed(ids, positions, cache.next_longest(), config_, compute_dtype_);
  return parts_->model->norm->forward(run_cached(x, positions, {}, wanted, cache));
}

torch::Tensor DecoderImpl::run_cached(
    torch::Tensor x,
    const torch::Tensor& positions,
    const torch::Tensor& prefix_rows,
    const torch::Tensor& wanted,
    KvCache& cache) {
  const torch::Tensor lengths = parts_->looks_at_lengths() ? cache.next_lengths() : torch::Tensor();
  const auto angles = parts_->angles(positions, lengths, cache.next_longest(), compute_dtype_);
  const bool continues = cache.longest() > 0;
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    const AttentionShape shape = attention_shape(config_, i);
    const Attend attend = [&](const torch::Tensor& q,
                              const torch::Tensor& k,
                              const torch::Tensor& v) { return cache.attend(i, q, k, v, shape); };
    LayerPass pass{parts_->of_layer(angles, i), attend, {}, 0.0, prefix_rows, continues};
    if (i + 1 == config_.num_layers()) {
      pass.wanted = wanted;
    }
    if (RecurrentState* const state = cache.recurrent_state(i)) {
      pass.recurrent = {{{0, cache.rows(), x.size(0) / cache.rows()}}, state, cache.begins()};
    }
    x = parts_->layer(i)->forward(x, pass);
  }
  cache.advance();
  return x;
}

} // namespace errata
