#include "core/decoder.h"

#include "tests/support/expect_error.h"
#include "tests/support/grad_check.h"
#include "tests/support/reference_decoder.h"
#include "tests/support/tiny_decoder.h"
#include "tests/support/tiny_griffin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_all_close;
using testing_support::expect_directional_gradients;
using testing_support::expect_error;
using testing_support::largest_difference;
using testing_support::output_and_gradients;
using testing_support::random_decoder;
using testing_support::random_sequences;
using testing_support::ReferenceDecoder;
using testing_support::tiny_gemma3;
using testing_support::tiny_griffin;
using testing_support::tiny_llama;

// The decoder on packed sequences against the reference on one at a time.
void expect_reference(const DecoderConfig& config) {
  Decoder model = random_decoder(config);
  const ReferenceDecoder reference(model);
  const auto sequences = random_sequences(7, 12, config.vocab_size);
  const PackedBatch batch = pack(sequences);
  const torch::NoGradGuard no_grad;
  const torch::Tensor logits = model->logits(model->hidden(batch));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto length = static_cast<std::int64_t>(sequences[i].size());
    const torch::Tensor own = logits.narrow(0, batch.row_of(i, 0), length);
    EXPECT_LT(largest_difference(own, reference.logits(sequences[i])), 1e-10) << "sequence " << i;
  }
}

TEST(DecoderTest, Gemma3MatchesReference) {
  expect_reference(tiny_gemma3());
}

TEST(DecoderTest, LlamaMatchesReference) {
  expect_reference(tiny_llama());
}

TEST(DecoderTest, Gemma1MatchesReference) {
  DecoderConfig config = tiny_gemma3(0);
  config.sandwich_norms = false;
  config.qk_norm = false;
  config.num_kv_heads = 1;
  expect_reference(config);
}

TEST(DecoderTest, NamesAreThoseOfTheCheckpoint) {
  DecoderConfig config = tiny_gemma3();
  config.layers.resize(1);
  const Decoder gemma(config);
  const std::string layer = "model.layers.0.";
  EXPECT_THAT(
      gemma->named_parameters().keys(),
      testing::UnorderedElementsAre(
          "model.embed_tokens.weight",
          layer + "self_attn.q_proj.weight",
          layer + "self_attn.k_proj.weight",
          layer + "self_attn.v_proj.weight",
          layer + "self_attn.o_proj.weight",
          layer + "self_attn.q_norm.weight",
          layer + "self_attn.k_norm.weight",
          layer + "mlp.gate_proj.weight",
          layer + "mlp.up_proj.weight",
          layer + "mlp.down_proj.weight",
          layer + "input_layernorm.weight",
          layer + "post_attention_layernorm.weight",
          layer + "pre_feedforward_layernorm.weight",
          layer + "post_feedforward_layernorm.weight",
          "model.norm.weight"));
  config = tiny_llama();
  config.layers.resize(1);
  const Decoder llama(config);
  EXPECT_THAT(
      llama->named_parameters().keys(),
      testing::UnorderedElementsAre(
          "model.embed_tokens.weight",
          layer + "self_attn.q_proj.weight",
          layer + "self_attn.q_proj.bias",
          layer + "self_attn.k_proj.weight",
          layer + "self_attn.k_proj.bias",
          layer + "self_attn.v_proj.weight",
          layer + "self_attn.v_proj.bias",
          layer + "self_attn.o_proj.weight",
          layer + "self_attn.o_proj.bias",
          layer + "mlp.gate_proj.weight",
          layer + "mlp.up_proj.weight",
          layer + "mlp.down_proj.weight",
          layer + "input_layernorm.weight",
          layer + "post_attention_layernorm.weight",
          "model.norm.weight",
          "lm_head.weight"));
}

TEST(DecoderTest, LinearsAreTheModulesOfTheirNames) {
  const Decoder model(tiny_gemma3());
  const auto parameters = model->named_parameters();
  const auto linears = model->linears();
  EXPECT_EQ(linears.size(), 3U * 7U);
  for (const auto& [name, linear] : linears) {
    EXPECT_TRUE(linear->weight.is_same(parameters[name + ".weight"])) << name;
  }
}

TEST(DecoderTest, GradientsMatchDifferences) {
  for (const DecoderConfig& config : {tiny_gemma3(), tiny_llama()}) {
    Decoder model = random_decoder(config);
    const PackedBatch batch = pack(random_sequences(4, 6, config.vocab_size));
    expect_directional_gradients(
        [&] { return model->logits(model->hidden(batch)); }, model->parameters());
  }
}

// Float64 attends by LibTorch's operators, float32 by the kernels.
TEST(DecoderTest, FilledRowsChangeNothing) {
  Decoder model = random_decoder(tiny_gemma3());
  for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32}) {
    model->to(dtype);
    model->set_compute_dtype(dtype);
    const PackedBatch batch = pack(random_sequences(5, 9, 29));
    PackedBatch filled = batch;
    filled.fill_to(64);
    ASSERT_GT(filled.rows(), batch.rows());
    const torch::Tensor weights = torch::randn({batch.rows(), model->config().hidden_size}, dtype);
    const auto run = [&](const PackedBatch& packed) {
      const torch::Tensor states = model->hidden(packed).narrow(0, 0, batch.rows());
      return output_and_gradients(states, weights, model->parameters());
    };
    expect_all_close(run(filled), run(batch), dtype == torch::kFloat64 ? 1e-11 : 1e-4);
  }
}

// States and gradients, whatever attends: float64 by LibTorch's operators, float32 by the kernels.
TEST(DecoderTest, SharedPrefixesChangeNothing) {
  DecoderConfig capped = tiny_gemma3();
  capped.attention_softcap = 2.0;
  for (const DecoderConfig& config : {tiny_gemma3(), tiny_llama(), capped}) {
    auto sequences = random_sequences(9, 12, config.vocab_size);
    for (std::size_t i = 0; i < sequences.size(); i += 2) {
      for (std::size_t t = 0; t < std::min(sequences[i].size(), i); ++t) {
        sequences[i][t] = static_cast<std::int32_t>(t); // the more, the later
      }
    }
    sequences.push_back(sequences[4]);
    const PackedBatch batch = pack(sequences);
    PackedBatch shared = batch;
    shared.share_prefixes();
    ASSERT_LT(shared.rows(), batch.rows() - 10);
    shared.fill_to(shared.rows() + 2);
    std::vector<std::int64_t> rows;
    std::vector<std::int64_t> shared_rows;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      for (std::int64_t t = 0; t < std::ssize(sequences[i]); ++t) {
        rows.push_back(batch.row_of(i, t));
        shared_rows.push_back(shared.row_of(i, t));
      }
    }
    Decoder model = random_decoder(config);
    for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32}) {
      model->to(dtype);
      model->set_compute_dtype(dtype);
      const torch::Tensor weights =
          torch::randn({std::ssize(rows), config.hidden_size}, model->parameters()[0].options());
      const auto run = [&](const PackedBatch& packed, const std::vector<std::int64_t>& wanted) {
        const torch::Tensor hidden = model->hidden(packed, torch::tensor(wanted, torch::kInt64));
        return output_and_gradients(hidden, weights, model->parameters());
      };
      expect_all_close(
          run(shared, shared_rows), run(batch, rows), dtype == torch::kFloat64 ? 1e-11 : 1e-4);
    }
  }
}

TEST(DecoderTest, SharesPrefixesWhereOnlyTheTokensBeforeCount) {
  EXPECT_TRUE(random_decoder(tiny_gemma3())->shares_prefixes());
  EXPECT_FALSE(random_decoder(tiny_griffin())->shares_prefixes());
  DecoderConfig dynamic = tiny_llama();
  for (LayerConfig& layer : dynamic.layers) {
    layer.rope.dynamic = DynamicRope{10};
  }
  EXPECT_FALSE(random_decoder(dynamic)->shares_prefixes());
}

TEST(DecoderTest, FrozenPrefixEqualsFullPass) {
  Decoder model = random_decoder(tiny_gemma3());
  const PackedBatch batch = pack(random_sequences(5, 9, 29));
  const torch::Tensor full = model->hidden(batch);
  const torch::Tensor weights = torch::randn_like(full);
  const torch::Tensor last = model->named_parameters()["model.layers.2.mlp.down_proj.weight"];
  const torch::Tensor wanted = torch::autograd::grad({(full * weights).sum()}, {last})[0];

  torch::Tensor states;
  {
    const torch::NoGradGuard no_grad;
    states = model->states_before(2, batch);
  }
  const torch::Tensor found = model->hidden_from(2, states, batch);
  EXPECT_TRUE(torch::equal(found, full));
  const torch::Tensor grad = torch::autograd::grad({(found * weights).sum()}, {last})[0];
  EXPECT_LT(largest_difference(grad, wanted), 1e-12);
}

// In any order and repeated, with their gradients, from any layer on.
TEST(DecoderTest, WantedRowsAreThoseOfTheWholePass) {
  DecoderConfig parallel = tiny_llama();
  parallel.parallel_block = true;
  DecoderConfig recurrent = tiny_griffin();
  std::swap(recurrent.layers[1], recurrent.layers[2]); // ends with a recurrent layer
  for (const DecoderConfig& config : {tiny_gemma3(), tiny_llama(), recurrent, parallel}) {
    SCOPED_TRACE(config.model_type);
    Decoder model = random_decoder(config);
    const PackedBatch batch = pack(random_sequences(5, 9, config.vocab_size));
    const std::int64_t last = batch.rows() - 1;
    const torch::Tensor rows = torch::tensor({last, 0L, 3L, 3L, last / 2}, torch::kInt64);
    const torch::Tensor weights = torch::randn({5, config.hidden_size}, torch::kFloat64);
    const auto run = [&](const torch::Tensor& hidden) {
      return output_and_gradients(hidden, weights, model->parameters());
    };
    const auto expected = run(model->hidden(batch).index_select(0, rows));
    expect_all_close(run(model->hidden(batch, rows)), expected, 1e-11);
    const std::int64_t layers = config.num_layers();
    const torch::Tensor states = model->states_before(layers, batch).detach();
    EXPECT_LT(
        largest_difference(model->hidden_from(layers, states, batch, rows), expected.front()),
        1e-12);
  }
}

TEST(DecoderTest, NoGraphBelowTheFirstTrainableLayer) {
  Decoder model = random_decoder(tiny_gemma3());
  for (auto& parameter : model->parameters()) {
    parameter.set_requires_grad(false);
  }
  const PackedBatch batch = pack(random_sequences(4, 6, 29));
  EXPECT_FALSE(model->hidden(batch).requires_grad());
  model->linears()[3 * 7 - 1].second->weight.set_requires_grad(true);
  EXPECT_FALSE(model->states_before(2, batch).requires_grad());
  const torch::Tensor hidden = model->hidden(batch);
  ASSERT_TRUE(hidden.requires_grad());
  hidden.sum().backward();
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(item.value().grad().defined(), item.key() == "model.layers.2.mlp.down_proj.weight")
        << item.key();
  }
}

TEST(DecoderTest, BfloatComputeOverFloatMasters) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32, 0.1);
  const PackedBatch batch = pack(random_sequences(5, 9, 29));
  const torch::Tensor exact = model->logits(model->hidden(batch)).detach();
  model->set_compute_dtype(torch::kBFloat16);
  const torch::Tensor logits = model->logits(model->hidden(batch));
  EXPECT_EQ(logits.scalar_type(), torch::kBFloat16);
  EXPECT_LT(largest_difference(logits, exact), 0.05 * exact.abs().max().item<double>());
  logits.sum().backward();
  for (const auto& item : model->named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_EQ(item.value().grad().scalar_type(), torch::kFloat32) << item.key();
  }
  model->to(torch::kBFloat16);
  EXPECT_LT(
      largest_difference(model->logits(model->hidden(batch)), exact),
      0.05 * exact.abs().max().item<double>());
}

TEST(DecoderTest, DropoutOnlyWithGradients) {
  Decoder model = random_decoder(tiny_gemma3());
  const PackedBatch batch = pack(random_sequences(4, 6, 29));
  const torch::Tensor plain = model->hidden(batch);
  model->set_residual_dropout(0.5);
  torch::manual_seed(1);
  const torch::Tensor dropped = model->hidden(batch);
  EXPECT_GT(largest_difference(dropped, plain), 1e-3);
  torch::manual_seed(1);
  EXPECT_TRUE(torch::equal(model->hidden(batch), dropped));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(model->hidden(batch), plain));
}

TEST(DecoderTest, EmbeddingScaleIsRoundedToTheActivations) {
  DecoderConfig config = tiny_gemma3();
  config.embedding_scale = std::sqrt(3072.0);
  Decoder model = random_decoder(config, torch::kBFloat16);
  const PackedBatch batch = pack(random_sequences(1, 3, 29));
  const torch::NoGradGuard no_grad;
  const torch::Tensor embedding =
      model->named_parameters()["model.embed_tokens.weight"].index_select(0, batch.ids);
  // The bfloat16 nearest to sqrt(3072) = 55.4256 is 55.5.
  const torch::Tensor expected =
      (embedding.to(torch::kFloat64) * 55.5).to(torch::kFloat32).to(torch::kBFloat16);
  EXPECT_TRUE(torch::equal(model->states_before(0, batch), expected));
}

TEST(DecoderTest, RejectsImpossibleShapes) {
  DecoderConfig config = tiny_gemma3();
  config.num_kv_heads = 3;
  expect_error(ErrorCode::kInvalidArgument, {"num_key_value_heads 3"}, [&] { Decoder{config}; });
  config = tiny_gemma3();
  config.head_dim = 5;
  expect_error(ErrorCode::kInvalidArgument, {"head_dim 5"}, [&] { Decoder{config}; });
}

} // namespace
} // namespace errata
