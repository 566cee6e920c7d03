// Adapters that are no change of a weight: prompts, prefixes, LLaMA-Adapter, bottlenecks.

#include "core/base/files.h"
#include "core/generation.h"
#include "core/kv_cache.h"
#include "peft/adapter.h"
#include "peft/bottleneck.h"
#include "peft/export.h"
#include "tests/peft/on_cuda.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::expect_wanted_rows;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;

struct PromptCase {
  const char* name;
  AdapterConfig config;
  bool identity; ///< a fresh one changes nothing
};

std::vector<PromptCase> prompt_cases() {
  std::vector<PromptCase> all;
  const auto add = [&](const char* name, const char* type, bool identity) -> AdapterConfig& {
    AdapterConfig config;
    config.peft_type = type;
    config.prompt.num_virtual_tokens = 3;
    all.push_back({name, config, identity});
    return all.back().config;
  };
  add("prompt", "PROMPT_TUNING", false);
  add("p_tuning", "P_TUNING", false).prompt.encoder_hidden_size = 11;
  AdapterConfig& lstm = add("p_tuning_lstm", "P_TUNING", false);
  lstm.prompt.encoder_hidden_size = 5;
  lstm.prompt.encoder = PromptEncoder::kLstm;
  add("prefix", "PREFIX_TUNING", false);
  add("projected_prefix", "PREFIX_TUNING", false).prompt.prefix_projection = true;
  AdapterConfig& adaption = add("llama_adapter", "ADAPTION_PROMPT", true);
  adaption.adaption.adapter_len = 4;
  adaption.adaption.adapter_layers = 2;
  add("houlsby", "BOTTLENECK", true).bottleneck = bottleneck_preset("houlsby");
  AdapterConfig& pfeiffer = add("pfeiffer", "BOTTLENECK", true);
  pfeiffer.bottleneck = bottleneck_preset("pfeiffer");
  pfeiffer.layers_to_transform = {1};
  add("parallel", "BOTTLENECK", true).bottleneck = bottleneck_preset("parallel");
  return all;
}

const std::vector<std::vector<std::int32_t>> kTexts{{2, 7, 9, 11, 30}, {2, 40, 3}, {2, 1, 49}};

// Log-probabilities at the rows of the texts, in their order.
torch::Tensor by_text(Decoder& model) {
  const torch::NoGradGuard no_grad;
  const PackedBatch batch = pack(kTexts);
  const torch::Tensor rows = torch::log_softmax(model->logits(model->hidden(batch)), -1);
  std::vector<torch::Tensor> parts;
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    const std::int64_t first = batch.row_of(i, 0);
    parts.push_back(rows.slice(0, first, first + static_cast<std::int64_t>(kTexts[i].size())));
  }
  return torch::cat(parts);
}

// The same, token by token through a cache of each text.
torch::Tensor by_cache(Decoder& model) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parts;
  for (const auto& text : kTexts) {
    KvCache cache(model->config(), 1, model->compute_dtype(), torch::kCPU);
    for (std::size_t at = 0; at < text.size(); at += at == 0 ? 2 : 1) {
      const std::size_t end = at == 0 ? 2 : at + 1;
      const std::vector<std::int64_t> ids(
          text.begin() + static_cast<std::ptrdiff_t>(at),
          text.begin() + static_cast<std::ptrdiff_t>(end));
      const torch::Tensor hidden =
          model->hidden_cached(torch::tensor(ids, torch::kInt64).unsqueeze(0), cache);
      parts.push_back(torch::log_softmax(model->logits(hidden[0]), -1));
    }
  }
  return torch::cat(parts);
}

double distance_of(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

class PromptsTest : public testing::TestWithParam<PromptCase> {
 protected:
  void SetUp() override { torch::manual_seed(3); }

  Decoder model_ = tiny_decoder(3);
};

TEST_P(PromptsTest, StartsAsPromisedAndComesOffWithoutATrace) {
  const torch::Tensor before = by_text(model_);
  {
    const auto adapter = attach_adapter(model_, GetParam().config, 7);
    if (GetParam().identity) {
      EXPECT_TRUE(torch::equal(by_text(model_), before));
    }
    shake(*adapter);
    EXPECT_GT(distance_of(by_text(model_), before), 1e-3);
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(by_text(model_), before));
    adapter->set_enabled(true);
    EXPECT_FALSE(torch::equal(by_text(model_), before));
  }
  EXPECT_TRUE(torch::equal(by_text(model_), before));
}

TEST_P(PromptsTest, SomeRowsAreThoseOfTheWholePass) {
  const auto adapter = attach_adapter(model_, GetParam().config, 7);
  shake(*adapter);
  expect_wanted_rows(model_);
}

TEST_P(PromptsTest, CachesSeeIt) {
  const auto adapter = attach_adapter(model_, GetParam().config, 7);
  shake(*adapter);
  EXPECT_LE(distance_of(by_cache(model_), by_text(model_)), 1e-4);
}

TEST_P(PromptsTest, GenerationSeesIt) {
  const auto adapter = attach_adapter(model_, GetParam().config, 7);
  shake(*adapter, 0.6);
  GenerationOptions options;
  options.max_new_tokens = 6;
  // Prompts with a common beginning, which is computed once.
  const std::vector<Tokens> prompts{{2, 7, 9, 11, 30}, {2, 7, 9, 4}, {2, 7, 9, 4, 4, 8}};
  const auto together = generate(model_, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Tokens text = prompts[i];
    for (int step = 0; step < 6; ++step) {
      const torch::NoGradGuard no_grad;
      const std::vector<Tokens> texts{text};
      const torch::Tensor logits = model_->logits(model_->hidden(pack(texts)));
      text.push_back(static_cast<std::int32_t>(logits[-1].argmax().item<std::int64_t>()));
    }
    EXPECT_EQ(
        together[i].tokens,
        Tokens(text.begin() + static_cast<std::ptrdiff_t>(prompts[i].size()), text.end()));
  }
}

// The adapter's parameters, in float64 from now on.
std::vector<torch::Tensor> wide_parameters(Adapter& adapter) {
  std::vector<torch::Tensor> leaves;
  for (const auto& [name, tensor] : adapter.named_parameters()) {
    torch::Tensor leaf = tensor;
    leaf.set_data(tensor.data().to(torch::kFloat64));
    leaves.push_back(leaf);
  }
  return leaves;
}

Decoder wide_frozen_decoder(const DecoderConfig& config) {
  Decoder model(config, torch::TensorOptions().dtype(torch::kFloat64));
  model->initialise(0.1);
  for (auto& parameter : model->parameters()) {
    parameter.requires_grad_(false);
  }
  return model;
}

TEST_P(PromptsTest, GradientsAreThoseOfTheOutput) {
  Decoder model = wide_frozen_decoder(model_->config());
  const auto adapter = attach_adapter(model, GetParam().config, 7);
  shake(*adapter);
  const auto leaves = wide_parameters(*adapter);
  const PackedBatch batch = pack(kTexts);
  testing_support::expect_directional_gradients([&] { return model->hidden(batch); }, leaves, 1e-5);
}

// Rows that several texts begin with once, and those of a prompt before them.
TEST_P(PromptsTest, SharedPrefixesChangeNothing) {
  Decoder model = wide_frozen_decoder(model_->config());
  const auto adapter = attach_adapter(model, GetParam().config, 7);
  shake(*adapter);
  const auto leaves = wide_parameters(*adapter);
  const std::vector<Tokens> texts{
      {2, 7, 9, 11, 30}, {2, 40, 3}, {5, 1, 49}, {2, 7, 9}, {5, 1, 49}, {2, 7, 1, 4}};
  const PackedBatch batch = pack(texts);
  PackedBatch shared = batch;
  shared.share_prefixes(model->prompt_length());
  ASSERT_LE(shared.rows(), batch.rows() - 9);
  shared.fill_to(shared.rows() + 3);
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> shared_rows;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (std::int64_t t = 0; t < std::ssize(texts[i]); ++t) {
      rows.push_back(batch.row_of(i, t));
      shared_rows.push_back(shared.row_of(i, t));
    }
  }
  const torch::Tensor weights =
      torch::randn({std::ssize(rows), model->config().hidden_size}, torch::kFloat64);
  const auto run = [&](const PackedBatch& packed, const std::vector<std::int64_t>& wanted) {
    const torch::Tensor hidden = model->hidden(packed, torch::tensor(wanted, torch::kInt64));
    return testing_support::output_and_gradients(hidden, weights, leaves);
  };
  testing_support::expect_all_close(run(shared, shared_rows), run(batch, rows), 1e-10);
}

TEST_P(PromptsTest, ADirectoryKeepsIt) {
  const TemporaryDirectory directory;
  auto adapter = attach_adapter(model_, GetParam().config, 7);
  shake(*adapter);
  const torch::Tensor adapted = by_text(model_);
  save_adapter(*adapter, directory / "adapter");
  adapter.reset();
  const auto loaded = load_adapter(model_, directory / "adapter");
  EXPECT_LE(distance_of(by_text(model_), adapted), 1e-5);
  save_adapter(*loaded, directory / "again");
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
    EXPECT_EQ(read_file(directory / "adapter" / file), read_file(directory / "again" / file))
        << file;
  }
}

TEST_P(PromptsTest, NoWeightCanHoldIt) {
  const auto adapter = attach_adapter(model_, GetParam().config, 7);
  EXPECT_FALSE(adapter->can_merge());
  expect_error(ErrorCode::kUnsupported, {"cannot be merged"}, [&] { adapter->merge(); });
  expect_error(ErrorCode::kUnsupported, {"cannot be merged"}, [&] { adapter->delta("x"); });
  expect_error(ErrorCode::kUnsupported, {"factor"}, [&] { adapter->set_weight(0.5); });
}

TEST_P(PromptsTest, ADeviceComputesTheSame_CUDA) {
  expect_same_on_cuda(model_, GetParam().config);
}

INSTANTIATE_TEST_SUITE_P(Types, PromptsTest, testing::ValuesIn(prompt_cases()), [](const auto& p) {
  return std::string(p.param.name);
});

class PromptStartTest : public testing_support::SeedingTest {
 protected:
  // What follows tokens 5, 8 and 5 in front of each text.
  static torch::Tensor with_tokens_in_front(Decoder& model) {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> parts;
    for (const auto& text : kTexts) {
      std::vector<std::vector<std::int32_t>> longer{{5, 8, 5}};
      longer[0].insert(longer[0].end(), text.begin(), text.end());
      const torch::Tensor rows = model->logits(model->hidden(pack(longer)));
      parts.push_back(torch::log_softmax(rows.slice(0, 3), -1));
    }
    return torch::cat(parts);
  }
};

TEST_F(PromptStartTest, PromptsAndPrefixesStartAsTokensInFront) {
  Decoder model = tiny_decoder(3);
  const torch::Tensor expected = with_tokens_in_front(model);
  for (const char* type : {"PROMPT_TUNING", "PREFIX_TUNING"}) {
    AdapterConfig config;
    config.peft_type = type;
    config.prompt.num_virtual_tokens = 3;
    config.prompt.init_tokens = {5, 8};
    const auto adapter = attach_adapter(model, config, 7);
    EXPECT_LE(distance_of(by_text(model), expected), 1e-5) << type;
  }
}

// The same seed, the same bytes, whatever else has drawn from LibTorch's own generator; and nothing
// is drawn from that one.
TEST_F(PromptStartTest, TheSeedAloneDecidesAnEncodersStart) {
  Decoder model = tiny_decoder(3);
  for (const PromptEncoder encoder : {PromptEncoder::kMlp, PromptEncoder::kLstm}) {
    AdapterConfig config;
    config.peft_type = "P_TUNING";
    config.prompt.num_virtual_tokens = 3;
    config.prompt.encoder = encoder;
    const auto table = [&](std::uint64_t seed, std::uint64_t others) {
      torch::manual_seed(others);
      const auto adapter = attach_adapter(model, config, seed);
      torch::Tensor made = adapter->file_tensors().front().second.clone();
      const torch::Tensor next = torch::randn({3});
      torch::manual_seed(others);
      EXPECT_TRUE(torch::equal(torch::randn({3}), next));
      return made;
    };
    EXPECT_TRUE(torch::equal(table(7, 1), table(7, 2)));
    EXPECT_FALSE(torch::equal(table(7, 1), table(8, 1)));
  }
}

// A fresh one has the perceptron that it is trained through, whether gradients are on or not; one
// from a file never, and nothing is computed for it.
TEST_F(PromptStartTest, OnlyAFileGivesATable) {
  class Listener final : public AttentionAttachment {
   public:
    torch::Tensor extra(SelfAttentionImpl&, const Projections&) override {
      ++passes;
      return {};
    }
    int passes = 0;
  };
  Decoder model = tiny_decoder(3);
  const TemporaryDirectory directory;
  for (const char* type : {"P_TUNING", "PREFIX_TUNING"}) {
    AdapterConfig config;
    config.peft_type = type;
    config.prompt.num_virtual_tokens = 3;
    config.prompt.prefix_projection = true;
    {
      const torch::NoGradGuard no_grad;
      const auto fresh = attach_adapter(model, config, 7);
      EXPECT_GT(fresh->named_parameters().size(), 1) << type;
      save_adapter(*fresh, directory / type);
    }
    const auto listener = std::make_shared<Listener>();
    model->attention(0)->attachments().attach(listener);
    EXPECT_EQ(load_adapter(model, directory / type)->named_parameters().size(), 1) << type;
    EXPECT_EQ(listener->passes, 0) << type;
    model->attention(0)->attachments().detach(listener.get());
  }
}

TEST_F(PromptStartTest, WhatCannotBeIsNamed) {
  Decoder model = tiny_decoder(3);
  AdapterConfig prompt;
  prompt.peft_type = "PROMPT_TUNING";
  const auto first = attach_adapter(model, prompt, 1);
  const auto second = attach_adapter(model, prompt, 2);
  expect_error(ErrorCode::kUnsupported, {"two soft prompts"}, [&] { by_text(model); });
  second->set_enabled(false);
  EXPECT_NO_THROW(by_text(model));
  prompt.prompt.init_tokens = {77};
  expect_error(
      ErrorCode::kInvalidArgument, {"77", "50"}, [&] { attach_adapter(model, prompt, 1); });
  AdapterConfig adaption;
  adaption.peft_type = "ADAPTION_PROMPT";
  adaption.adaption.adapter_layers = 4;
  expect_error(ErrorCode::kInvalidArgument, {"adapter_layers", "3"}, [&] {
    attach_adapter(model, adaption, 1);
  });
  AdapterConfig bottleneck;
  bottleneck.peft_type = "BOTTLENECK";
  bottleneck.bottleneck.non_linearity = "tanh";
  expect_error(ErrorCode::kUnsupported, {"tanh"}, [&] { attach_adapter(model, bottleneck, 1); });
}

} // namespace
} // namespace errata::peft
