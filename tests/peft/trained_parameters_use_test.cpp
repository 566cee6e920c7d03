// Several adapters of embeddings, the head, biases and copies together, in training and in batches.

#include "core/base/error.h"
#include "core/generation.h"
#include "core/train_pass.h"
#include "peft/adapter.h"
#include "peft/combine.h"
#include "peft/lora_pairs.h"
#include "peft/trained_parameters.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/peft/trained_configs.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::dora;
using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::of_type;
using testing_support::on;
using testing_support::tiny_decoder;
using testing_support::tiny_gpt2;
using testing_support::tiny_llama;
using testing_support::with_bias;
using testing_support::with_copies;

class TrainedParametersUseTest : public testing_support::SeedingTest {};

TEST_F(TrainedParametersUseTest, CopiesOfSeveralAdaptersAddUp) {
  Decoder model = tiny_llama(2);
  const auto first = attach_adapter(model, with_copies(on({"q_proj"}), {"lm_head"}), 1);
  const auto second = attach_adapter(model, with_copies(on({"v_proj"}), {"lm_head", "norm"}), 2);
  shake(*first);
  shake(*second);
  second->set_weight(0.3);
  const torch::Tensor sum = log_probabilities(model);
  first->merge();
  second->merge();
  EXPECT_TRUE(torch::allclose(log_probabilities(model), sum, 1e-4, 1e-4));
}

TEST_F(TrainedParametersUseTest, WhatLiesBelowIsKnown) {
  const auto first_layer = [](Decoder model, const AdapterConfig& config) {
    return attach_adapter(model, config, 1)->first_layer();
  };
  AdapterConfig late = on({"q_proj", "lm_head"});
  late.layers_to_transform = {1};
  EXPECT_EQ(first_layer(tiny_decoder(3), late), 1);
  EXPECT_EQ(first_layer(tiny_decoder(3), on({"lm_head"})), 3);
  EXPECT_EQ(first_layer(tiny_decoder(3), with_copies(on({"lm_head"}), {"model.norm"})), 3);
  EXPECT_EQ(first_layer(tiny_decoder(3), with_copies(late, {"embed_tokens"})), 0);
  EXPECT_EQ(first_layer(tiny_gpt2(), on({"wpe"})), 0);
}

// Each sequence of a batch with tables and copies of its own.
TEST_F(TrainedParametersUseTest, SequencesAreRoutedToTheirTablesAndCopies) {
  for (Decoder model : {tiny_decoder(2), tiny_llama(2)}) {
    std::vector<std::unique_ptr<Adapter>> adapters;
    for (const AdapterConfig& config :
         {with_copies(on({"embed_tokens", "q_proj"}), {"norm", "lm_head"}),
          with_copies(on({"lm_head"}), {"embed_tokens"}),
          with_copies(on({"q_proj"}), {"lm_head", "0.mlp"})}) {
      adapters.push_back(attach_adapter(model, config, 1));
      shake(*adapters.back(), 0.4);
      adapters.back()->set_enabled(false);
    }
    const std::vector<Tokens> some = {{2, 7, 9}, {2, 7, 9, 11, 30}, {2, 40, 3}};
    const auto continued = [&](const std::vector<Tokens>& prompts, const Routing& routing) {
      GenerationOptions options;
      options.max_new_tokens = 8;
      options.max_batch = 5;
      options.routing = routing;
      return generate(model, prompts, options);
    };
    std::vector<Tokens> prompts;
    std::vector<std::int64_t> routes;
    std::vector<Tokens> alone;
    for (std::int64_t route = -1; route < 3; ++route) {
      if (route >= 0) {
        adapters[static_cast<std::size_t>(route)]->set_enabled(true);
      }
      for (const Generation& one : continued(some, {})) {
        alone.push_back(one.tokens);
      }
      if (route >= 0) {
        adapters[static_cast<std::size_t>(route)]->set_enabled(false);
      }
      prompts.insert(prompts.end(), some.begin(), some.end());
      routes.insert(routes.end(), some.size(), route);
    }
    std::vector<Adapter*> all;
    for (const auto& adapter : adapters) {
      adapter->set_enabled(true);
      all.push_back(adapter.get());
    }
    const auto together = continued(prompts, route_adapters(all, routes));
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(together[i].tokens, alone[i]) << i;
      if (i >= some.size()) {
        EXPECT_NE(alone[i], alone[i % some.size()]) << i << ": the adapter must matter";
      }
    }
  }
}

// The passes of training: with the states below cached or not, and KL to the base's own head.
TEST_F(TrainedParametersUseTest, TrainingPassesSeeTheTrainedHeadAndTheBases) {
  for (const auto& config :
       {on({"lm_head"}),
        with_copies(on({"lm_head"}), {"model.norm"}),
        with_copies(on({"q_proj"}), {"lm_head", "embed_tokens"}),
        of_type("IA3", on({"lm_head"})),
        dora(on({"lm_head"}))}) {
    Decoder model = tiny_decoder(2);
    const auto adapter = attach_adapter(model, config, 1);
    shake(*adapter);
    std::vector<std::shared_ptr<const TrainExample>> examples;
    MicroBatch micro;
    for (const Tokens& tokens : {Tokens{2, 7, 9, 11}, Tokens{2, 30, 4, 5, 6}}) {
      TrainExample example;
      example.tokens = tokens;
      example.first_label = 2;
      example.rehearsal = tokens.size() == 5;
      examples.push_back(std::make_shared<const TrainExample>(example));
      micro.push_back({examples.back(), static_cast<std::int64_t>(examples.size()) - 1});
    }
    constexpr double kKl = 0.7;
    TrainPass pass(model, {adapter->first_layer(), LossMean::kTokens, kKl, [&](bool base) {
                             adapter->set_enabled(!base);
                           }});
    if (adapter->first_layer() > 0) {
      pass.cache_prefix(examples, 1u << 20);
    }
    const double loss = pass.accumulate({{micro}, false}).loss.item<double>();
    std::vector<torch::Tensor> gradients;
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      ASSERT_TRUE(tensor.grad().defined()) << name;
      gradients.push_back(tensor.grad().clone());
      tensor.mutable_grad().zero_();
    }
    // The same from whole sequences and LibTorch's own loss.
    const auto log_p = [&](const Tokens& tokens) {
      return torch::log_softmax(
          model->logits(model->hidden(pack(std::vector<Tokens>{tokens}))), -1);
    };
    torch::Tensor nll = torch::zeros({});
    torch::Tensor kl = torch::zeros({});
    for (const auto& example : examples) {
      adapter->set_enabled(false);
      const torch::Tensor q = log_p(example->tokens).detach();
      adapter->set_enabled(true);
      const torch::Tensor p = log_p(example->tokens);
      for (std::size_t t = 2; t < example->tokens.size(); ++t) {
        const auto row = static_cast<std::int64_t>(t) - 1;
        nll = nll - p[row][example->tokens[t]];
        if (example->rehearsal) {
          kl = kl + (q[row].exp() * (q[row] - p[row])).sum();
        }
      }
    }
    const torch::Tensor expected = nll / 5 + kKl * kl / 3;
    EXPECT_NEAR(loss, expected.item<double>(), 1e-4);
    expected.backward();
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const auto& [name, tensor] = adapter->named_parameters()[i];
      EXPECT_TRUE(torch::allclose(gradients[i], tensor.grad(), 1e-3, 1e-4)) << name;
    }
  }
}

TEST_F(TrainedParametersUseTest, CopiesAreChosenAsPeftDoes) {
  EXPECT_TRUE(saves_module({"norm"}, "model.layers.0.input_layernorm")) << "not at a dot";
  EXPECT_TRUE(saves_module({"mlp"}, "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(saves_module({"layers.1.mlp"}, "model.layers.1.mlp.up_proj"));
  EXPECT_FALSE(saves_module({"layers.1.mlp"}, "model.layers.11.mlp.up_proj"));
  EXPECT_FALSE(saves_module({"mlp.up"}, "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(saves_module({"model"}, "model.norm"));
}

TEST_F(TrainedParametersUseTest, RefusesWhatItCannotTrain) {
  Decoder model = tiny_decoder(2);
  const auto refuse =
      [&](const AdapterConfig& config, ErrorCode code, const std::vector<std::string>& parts) {
        expect_error(code, parts, [&] { attach_adapter(model, config, 1); });
      };
  refuse(
      with_copies(on({"q_proj"}), {"lm_haed"}),
      ErrorCode::kInvalidArgument,
      {"modules_to_save", "'lm_haed'", "did you mean 'lm_head'"});
  refuse(with_copies(on({"q_proj"}), {""}), ErrorCode::kInvalidArgument, {"empty"});
  refuse(
      with_copies(on({"q_proj"}), {"self_attn"}),
      ErrorCode::kUnsupported,
      {"modules_to_save", "model.layers.0.self_attn.q_proj", "target"});
  refuse(
      of_type("IA3", with_bias(on({"k_proj"}), TrainedBias::kAll)),
      ErrorCode::kInvalidArgument,
      {"IA3", "bias"});
  refuse(of_type("ADALORA", on({"embed_tokens"})), ErrorCode::kInvalidArgument, {"'embed_tokens'"});
  AdapterConfig prompt;
  prompt.peft_type = "PROMPT_TUNING";
  prompt.modules_to_save = {"norm"};
  refuse(prompt, ErrorCode::kInvalidArgument, {"modules_to_save"});
}

TEST_F(TrainedParametersUseTest, ALoraHoldsTablesAndNothingTrainedWhole) {
  Decoder model = tiny_llama(2);
  const auto first = attach_adapter(model, on({"embed_tokens", "lm_head", "q_proj"}), 1);
  const auto second = attach_adapter(model, on({"embed_tokens", "lm_head"}), 2);
  shake(*first);
  shake(*second);
  const torch::Tensor sum = log_probabilities(model);
  first->set_enabled(false);
  second->set_enabled(false);
  for (const std::string how : {"cat", "svd"}) {
    CombineOptions options;
    options.combination = how;
    options.rank = how == "svd" ? 6 : 0;
    const auto both = combine_adapters(model, {first.get(), second.get()}, options);
    EXPECT_TRUE(torch::allclose(log_probabilities(model), sum, 1e-3, 1e-3)) << how;
  }
  const auto differences = compare_adapters(model, *first, *second);
  ASSERT_EQ(differences.size(), 5u); // embedding, two q_proj, head, all
  EXPECT_EQ(differences.front().module, "model.embed_tokens");
  EXPECT_EQ(differences[3].module, "lm_head");

  Decoder other = tiny_gpt2();
  for (const auto& [config, part] :
       {std::pair(with_copies(on({"c_attn"}), {"ln_f"}), std::string("modules_to_save (ln_f)")),
        {with_bias(on({"c_attn"}), TrainedBias::kTargets), "biases"}}) {
    const auto adapter = attach_adapter(other, config, 1);
    shake(*adapter);
    expect_error(ErrorCode::kUnsupported, {part, "--to merged"}, [&] {
      combine_adapters(other, {adapter.get()}, {});
    });
    expect_error(ErrorCode::kUnsupported, {"GGUF", "cannot hold", "--to merged"}, [&] {
      lora_pairs(*adapter, "GGUF");
    });
  }
}

} // namespace
} // namespace errata::peft
