#include "core/prefix_cache.h"

#include "core/parallel_rows.h"

#include <algorithm>
#include <numeric>

namespace errata {
namespace {

constexpr std::int64_t kRowsAtOnce = 4096;

struct Chunk {
  MicroBatch examples;
  std::vector<std::int64_t> first_rows; ///< where each begins in the cache
};

torch::Tensor index_tensor(const std::vector<std::int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

// For each row of `packed`, a row of the same token when the examples lie one after the other in
// the caller's order, example i starting at first[i].
torch::Tensor rows_of(
    const MicroBatch& micro, const std::vector<std::int64_t>& first, const PackedBatch& packed) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(packed.rows()));
  for (std::size_t i = 0; i < micro.size(); ++i) {
    for (std::int64_t t = 0; t < micro[i].example->rows(); ++t) {
      rows[static_cast<std::size_t>(packed.row_of(i, t))] = first[i] + t;
    }
  }
  return index_tensor(rows, packed.ids.device());
}

// `states` of the rows of `packed` to where its examples begin in `to`.
void put_states(
    const MicroBatch& micro,
    const std::vector<std::int64_t>& first,
    const PackedBatch& packed,
    const torch::Tensor& states,
    torch::Tensor& to) {
  std::vector<std::int64_t> from;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < micro.size(); ++i) {
    for (std::int64_t t = 0; t < micro[i].example->rows(); ++t) {
      from.push_back(packed.row_of(i, t));
      rows.push_back(first[i] + t);
    }
  }
  const torch::Device device = states.device();
  to.index_copy_(0, index_tensor(rows, device), states.index_select(0, index_tensor(from, device)));
}

} // namespace

PackedBatch pack_examples(const MicroBatch& micro, torch::Device device) {
  std::vector<std::vector<std::int32_t>> sequences;
  sequences.reserve(micro.size());
  for (const PlannedExample& planned : micro) {
    const std::vector<std::int32_t>& tokens = planned.example->tokens;
    sequences.emplace_back(tokens.begin(), tokens.end() - 1);
  }
  return pack(sequences, device);
}

PackedBatch pack_shared(const MicroBatch& micro, const DecoderImpl& model) {
  PackedBatch packed = pack_examples(micro, model.device());
  if (model.shares_prefixes()) {
    packed.share_prefixes(model.prompt_length());
  }
  return packed;
}

PrefixCache::PrefixCache(
    Decoder& model,
    std::int64_t layer,
    const std::vector<std::shared_ptr<const TrainExample>>& examples,
    std::uint64_t max_bytes)
    : layer_(layer) {
  const torch::NoGradGuard no_grad;
  const std::uint64_t row_bytes = static_cast<std::uint64_t>(model->config().hidden_size) *
                                  torch::elementSize(model->compute_dtype());
  std::int64_t rows = 0;
  for (const auto& example : examples) {
    if (static_cast<std::uint64_t>(rows + example->rows()) * row_bytes > max_bytes) {
      break;
    }
    first_row_.push_back(rows);
    rows += example->rows();
  }
  states_ = torch::empty(
      {rows, model->config().hidden_size},
      torch::TensorOptions(model->compute_dtype()).device(model->device()));
  const bool shared = model->device().is_cpu() && model->reentrant();
  const std::int64_t threads = shared ? at::get_num_threads() : 1;
  const std::int64_t rows_at_once =
      std::clamp<std::int64_t>((rows + threads - 1) / threads, 1, kRowsAtOnce / threads);
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < first_row_.size(); ++i) {
    if (chunks.empty() || first_row_[i] - chunks.back().first_rows.front() >= rows_at_once) {
      chunks.emplace_back();
    }
    chunks.back().first_rows.push_back(first_row_[i]);
    chunks.back().examples.push_back({examples[i], static_cast<std::int64_t>(i)});
  }
  const auto compute = [&](std::int64_t i) {
    const Chunk& chunk = chunks[static_cast<std::size_t>(i)];
    const PackedBatch packed = pack_shared(chunk.examples, *model);
    put_states(
        chunk.examples, chunk.first_rows, packed, model->states_before(layer_, packed), states_);
  };
  for (std::int64_t i = 0; i < std::ssize(chunks); i += threads) {
    side_by_side(
        std::min(threads, std::ssize(chunks) - i), [&](std::int64_t k) { compute(i + k); });
  }
}

torch::Tensor PrefixCache::states(
    Decoder& model, const MicroBatch& micro, const PackedBatch& packed) const {
  const torch::NoGradGuard no_grad;
  MicroBatch missing;
  std::vector<std::int64_t> first;
  std::int64_t missing_rows = states_.size(0);
  for (const PlannedExample& planned : micro) {
    if (planned.index >= 0 && planned.index < held()) {
      first.push_back(first_row_[static_cast<std::size_t>(planned.index)]);
    } else {
      first.push_back(missing_rows);
      missing_rows += planned.example->rows();
      missing.push_back(planned);
    }
  }
  if (missing.empty()) {
    return states_.index_select(0, rows_of(micro, first, packed));
  }
  // What is not held is computed in a batch of its own and then stands behind the held rows.
  const PackedBatch extra = pack_shared(missing, *model);
  const torch::Tensor computed = model->states_before(layer_, extra);
  std::vector<std::int64_t> extra_first;
  std::int64_t row = 0;
  for (const PlannedExample& planned : missing) {
    extra_first.push_back(row);
    row += planned.example->rows();
  }
  torch::Tensor in_order = torch::empty({row, computed.size(1)}, computed.options());
  put_states(missing, extra_first, extra, computed, in_order);
  // Gather the held and the computed part separately: joining them would copy the whole cache.
  const torch::Tensor rows = rows_of(micro, first, packed);
  const torch::Tensor is_extra = rows >= states_.size(0);
  torch::Tensor out = torch::empty_like(computed).resize_({packed.rows(), computed.size(1)});
  const torch::Tensor extra_places = is_extra.nonzero().squeeze(1);
  const torch::Tensor held_places = is_extra.logical_not().nonzero().squeeze(1);
  out.index_copy_(
      0,
      extra_places,
      in_order.index_select(0, rows.index_select(0, extra_places) - states_.size(0)));
  out.index_copy_(0, held_places, states_.index_select(0, rows.index_select(0, held_places)));
  return out;
}

} // namespace errata
