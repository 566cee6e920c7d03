#include "core/decoder_parts.h"

#include "core/base/error.h"

#include <algorithm>

namespace errata {
namespace {

// Gemma multiplies by sqrt(hidden_size) as the activation dtype holds it: 55.5, not 55.4256, for
// hidden_size 3072 in bfloat16.
double rounded(double value, torch::Dtype dtype) {
  return torch::scalar_tensor(value, torch::kFloat64).to(dtype).to(torch::kFloat64).item<double>();
}

} // namespace

BackboneImpl::BackboneImpl(const DecoderConfig& config, torch::TensorOptions options) {
  const ModuleNames& names = config.names;
  embedding = register_module(
      names.embedding, TokenEmbedding(config.vocab_size, config.hidden_size, options));
  if (!names.positions.empty()) {
    positions = register_module(
        names.positions, TokenEmbedding(config.max_positions, config.hidden_size, options));
  }
  torch::nn::ModuleList list;
  for (std::int64_t i = 0; i < config.num_layers(); ++i) {
    layers.emplace_back(config, i, options);
    list->push_back(layers.back());
  }
  register_module(names.layers, list);
  norm = register_module(names.final_norm, make_norm(config, config.hidden_size, options));
}

DecoderImpl::Parts::Parts(const DecoderConfig& config, torch::TensorOptions options)
    : model(config, options) {
  if (model->positions) { // nothing turns
    return;
  }
  for (const LayerConfig& layer : config.layers) {
    const auto known = std::find_if(ropes.begin(), ropes.end(), [&](const RopeTable& table) {
      return table.config() == layer.rope;
    });
    layer_ropes.push_back(static_cast<std::size_t>(known - ropes.begin()));
    if (known == ropes.end()) {
      ropes.emplace_back(layer.rope, config.head_dim);
    }
  }
}

bool DecoderImpl::Parts::looks_at_lengths() const {
  return std::any_of(ropes.begin(), ropes.end(), [](const RopeTable& table) {
    return table.config().dynamic.has_value();
  });
}

torch::Tensor DecoderImpl::Parts::embed(
    const torch::Tensor& ids,
    const torch::Tensor& positions,
    std::int64_t limit,
    const DecoderConfig& config,
    torch::Dtype dtype) {
  torch::Tensor x = model->embedding(ids, dtype);
  if (model->positions) {
    ERRATA_CHECK(
        limit <= config.max_positions,
        ErrorCode::kInvalidArgument,
        "a text of ",
        limit,
        " tokens; this model has learned ",
        config.max_positions,
        " positions");
    x = x + model->positions(positions, dtype);
  }
  return config.embedding_scale == 1.0 ? x : x * rounded(config.embedding_scale, dtype);
}

torch::Tensor DecoderImpl::Parts::put_vectors(
    const torch::Tensor& x,
    const torch::Tensor& rows,
    const torch::Tensor& vectors,
    const torch::Tensor& positions,
    const DecoderConfig& config) {
  const torch::Dtype dtype = x.scalar_type();
  torch::Tensor put = vectors.to(dtype).repeat({rows.size(0) / vectors.size(0), 1});
  if (model->positions) {
    put = put + model->positions(positions.index_select(0, rows), dtype);
  }
  if (config.scales_prompts) {
    put = put * rounded(config.embedding_scale, dtype);
  }
  return x.index_copy(0, rows, put);
}

std::vector<RopeAngles> DecoderImpl::Parts::angles(
    const torch::Tensor& positions,
    const torch::Tensor& lengths,
    std::int64_t limit,
    torch::Dtype dtype) {
  std::vector<RopeAngles> angles;
  for (RopeTable& table : ropes) {
    angles.push_back(table.angles(positions, lengths, limit, dtype));
  }
  return angles;
}

AttentionShape attention_shape(const DecoderConfig& config, std::int64_t layer) {
  return {
      config.num_heads,
      config.num_kv_heads,
      config.head_dim,
      config.query_scale,
      config.layers[static_cast<std::size_t>(layer)].window,
      config.attention_softcap.value_or(0)};
}

} // namespace errata
