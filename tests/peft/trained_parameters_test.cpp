// Adapters of embeddings and the head, and what is trained whole beside adapters.

#include "peft/trained_parameters.h"

#include "core/base/error.h"
#include "core/generation.h"
#include "core/train_pass.h"
#include "peft/adapter.h"
#include "peft/combine.h"
#include "peft/lora_pairs.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::random_decoder;
using testing_support::tiny_batch;
using testing_support::tiny_decoder;
using testing_support::tiny_llama;

// GPT-2's features: learned positions, LayerNorms, biases and one matrix for queries, keys and
// values, which its files have the other way round; a tied head.
Decoder tiny_gpt2(torch::Dtype dtype = torch::kFloat32) {
  DecoderConfig config = tiny_llama(2)->config();
  config.model_type = "gpt2";
  config.names = kGpt2Names;
  config.num_kv_heads = 4;
  config.head_dim = 6;
  config.norm = NormKind::kLayer;
  config.activation = Activation::kGeluTanh;
  config.attention_bias = config.output_bias = config.mlp_bias = true;
  config.transposed_files = config.tie_word_embeddings = true;
  Decoder decoder = random_decoder(config, dtype);
  const torch::NoGradGuard no_grad;
  for (auto& item : decoder->named_parameters()) {
    if (item.key().ends_with("bias")) {
      item.value().normal_(0, 0.3);
    }
  }
  return decoder;
}

struct Case {
  std::string name;
  std::function<Decoder(torch::Dtype)> model;
  AdapterConfig config;
};

AdapterConfig on(std::vector<std::string> targets) {
  AdapterConfig config;
  config.r = 3;
  config.lora_alpha = 2;
  config.target_modules = std::move(targets);
  return config;
}

AdapterConfig with_bias(AdapterConfig config, TrainedBias bias) {
  config.trained_bias = bias;
  return config;
}

AdapterConfig with_copies(AdapterConfig config, std::vector<std::string> modules) {
  config.modules_to_save = std::move(modules);
  return config;
}

AdapterConfig dora(AdapterConfig config) {
  config.use_dora = true;
  return config;
}

AdapterConfig pissa(AdapterConfig config) {
  config.init = LoraInit::kPissa;
  return config;
}

AdapterConfig of_type(const std::string& type, AdapterConfig config) {
  config.peft_type = type;
  config.adalora.init_r = 3;
  config.adalora.target_r = 2;
  return config;
}

std::vector<Case> cases() {
  const auto gemma = [](torch::Dtype dtype) { return tiny_decoder(2, dtype); };
  const auto llama = [](torch::Dtype dtype) {
    return random_decoder(tiny_llama(2)->config(), dtype);
  };
  const std::function<Decoder(torch::Dtype)> gpt2 = tiny_gpt2;
  return {
      {"embedding, tied and scaled", gemma, on({"q_proj", "embed_tokens"})},
      {"embedding, untied", llama, on({"embed_tokens"})},
      {"tables of GPT-2", gpt2, on({"wte", "wpe", "c_attn"})},
      {"tied head", gemma, on({"lm_head"})},
      {"untied head", llama, on({"lm_head", "q_proj"})},
      {"both of a tied model", gpt2, on({"wte", "lm_head"})},
      {"DoRA on tables", llama, dora(on({"embed_tokens", "lm_head", "up_proj"}))},
      {"PiSSA with tables", gemma, pissa(on({"embed_tokens", "lm_head", "up_proj"}))},
      {"all biases", gpt2, with_bias(on({"c_attn"}), TrainedBias::kAll)},
      {"the targets' biases", gpt2, with_bias(on({"c_attn", "c_fc"}), TrainedBias::kTargets)},
      {"biases under DoRA", gpt2, with_bias(dora(on({"c_attn"})), TrainedBias::kTargets)},
      {"norms", gemma, with_copies(on({"q_proj"}), {"norm", "1.self_attn.q_norm"})},
      {"LayerNorms", gpt2, with_copies(on({"c_attn"}), {"ln_f", "0.ln_1"})},
      {"tied tables", gemma, with_copies(on({"q_proj"}), {"embed_tokens", "lm_head"})},
      {"untied head as a copy", llama, with_copies(on({"q_proj"}), {"lm_head"})},
      {"a part of a block", gpt2, with_copies(on({"c_attn"}), {"1.mlp", "wpe"})},
      {"biases and copies",
       gpt2,
       with_copies(with_bias(on({"c_attn"}), TrainedBias::kAll), {"1.mlp", "lm_head"})},
      {"AdaLoRA",
       gpt2,
       of_type("ADALORA", with_copies(with_bias(on({"c_attn"}), TrainedBias::kAll), {"wte"}))},
      {"VeRA",
       gpt2,
       of_type("VERA", with_copies(with_bias(on({"c_attn"}), TrainedBias::kTargets), {"lm_head"}))},
      {"IA3", llama, of_type("IA3", with_copies(on({"k_proj", "lm_head"}), {"model.norm"}))},
  };
}

class TrainedParametersTest : public testing_support::SeedingTest {};

using Weights = std::map<std::string, std::pair<torch::Tensor, torch::Tensor>>;

// Of every module, the head's too, and the very tensors.
Weights weights_of(const Decoder& model) {
  Weights all;
  for (const auto& [path, module] : model->adaptables()) {
    all[path] = {module->weight, module->weight.detach().clone()};
    if (module->bias.defined()) {
      all[path + " bias"] = {module->bias, module->bias.detach().clone()};
    }
  }
  return all;
}

void expect_untouched(const Decoder& model, const Weights& before) {
  for (const auto& [path, now] : weights_of(model)) {
    EXPECT_TRUE(now.first.is_same(before.at(path).first)) << path << " is another tensor";
    EXPECT_TRUE(torch::equal(now.second, before.at(path).second)) << path;
  }
}

TEST_F(TrainedParametersTest, StartsAsTheBaseAndLeavesNoTrace) {
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    const Weights base = weights_of(model);
    const torch::Tensor before = log_probabilities(model);
    auto adapter = attach_adapter(model, config, 7);
    const bool rounds = config.use_dora || config.init == LoraInit::kPissa;
    EXPECT_TRUE(
        rounds ? torch::allclose(log_probabilities(model), before, 1e-4, 1e-4)
               : torch::equal(log_probabilities(model), before));
    shake(*adapter);
    const torch::Tensor adapted = log_probabilities(model);
    EXPECT_GT((adapted - before).abs().max().item<double>(), 0.01) << "the adapter must matter";
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));

    adapter->merge();
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4));
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    adapter->unmerge();
    expect_untouched(model, base);
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));

    adapter->merge();
    adapter.reset();
    expect_untouched(model, base);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    for (const auto& [path, module] : model->adaptables()) {
      EXPECT_TRUE(module->attachments().empty()) << path;
    }
  }
}

TEST_F(TrainedParametersTest, AFactorScalesTheChange) {
  for (const auto& [name, make, config] : cases()) {
    if (config.use_dora || config.peft_type == "IA3") {
      continue; // not linear in its change where modules follow each other
    }
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    const auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    adapter->set_weight(0.5);
    const torch::Tensor half = log_probabilities(model);
    std::map<std::string, torch::Tensor> expected;
    adapter->set_enabled(false);
    for (const auto& [path, module] : model->adaptables()) {
      expected[path] = module->weight.detach().clone();
    }
    adapter->set_enabled(true);
    for (const std::string& module : adapter->modules()) {
      if (adapter->changes_weight(module)) {
        expected[module] += adapter->delta(module);
      } else {
        EXPECT_FALSE(adapter->delta(module).defined()) << module;
      }
    }
    adapter->merge();
    for (const auto& [path, module] : model->adaptables()) {
      EXPECT_TRUE(torch::allclose(module->weight, expected[path], 1e-6, 1e-7)) << path;
    }
    EXPECT_TRUE(torch::allclose(log_probabilities(model), half, 1e-4, 1e-4));
  }
}

// Central differences, in float64 but for the parameters themselves.
TEST_F(TrainedParametersTest, GradientsAreThoseOfFiniteDifferences) {
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat64);
    const auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    const torch::Tensor mask = torch::randn({11, 50}, torch::kFloat64);
    const auto loss = [&] {
      return (torch::log_softmax(model->logits(model->hidden(tiny_batch())), -1) * mask).sum();
    };
    loss().backward();
    for (const auto& [parameter, tensor] : adapter->named_parameters()) {
      ASSERT_TRUE(tensor.grad().defined()) << parameter;
      const torch::Tensor gradient = tensor.grad().flatten();
      torch::Tensor values = tensor.detach().view(-1);
      // The entries of largest gradient, and some others.
      const torch::Tensor most =
          std::get<1>(gradient.abs().topk(std::min<std::int64_t>(2, gradient.numel())));
      const torch::Tensor places =
          torch::cat({most, torch::randint(gradient.numel(), {2}, torch::kInt64)});
      for (std::int64_t i = 0; i < places.numel(); ++i) {
        const auto place = places[i].item<std::int64_t>();
        const float value = values[place].item<float>();
        const torch::NoGradGuard no_grad;
        const auto at = [&](float moved) {
          values[place] = moved;
          return loss().item<double>();
        };
        const float above = value + 1e-3F;
        const float below = value - 1e-3F;
        const double slope =
            (at(above) - at(below)) / (static_cast<double>(above) - static_cast<double>(below));
        values[place] = value;
        // DoRA's norms have no gradient, by its paper's section 4.3.
        if (!config.use_dora || parameter.find("lora_") == std::string::npos ||
            parameter.find("magnitude") != std::string::npos) {
          EXPECT_NEAR(gradient[place].item<double>(), slope, 2e-4 * (1 + std::abs(slope)))
              << parameter << ' ' << place;
        }
      }
    }
    for (const torch::Tensor& parameter : model->parameters()) {
      EXPECT_FALSE(parameter.grad().defined());
    }
  }
}

TEST_F(TrainedParametersTest, FilesGiveThemBackToTheBit) {
  const testing_support::TemporaryDirectory directory;
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    save_adapter(*adapter, directory / "adapter");
    const torch::Tensor adapted = log_probabilities(model);
    const auto modules = adapter->modules();
    adapter.reset();
    const auto loaded = load_adapter(model, directory / "adapter");
    EXPECT_EQ(loaded->modules(), modules);
    EXPECT_EQ(loaded->config().trained_bias, config.trained_bias);
    EXPECT_EQ(loaded->config().modules_to_save, config.modules_to_save);
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-5, 1e-5));
  }
}

// A tied table and its head change apart, whatever the order.
TEST_F(TrainedParametersTest, TiedTablesAreMergedApart) {
  Decoder model = tiny_decoder(2);
  const std::string table = "model.embed_tokens";
  const torch::Tensor base = model->named_parameters()[table + ".weight"].detach().clone();
  const auto embedding = attach_adapter(model, on({"embed_tokens"}), 1);
  const auto head = attach_adapter(model, on({"lm_head"}), 2);
  shake(*embedding);
  shake(*head);
  const torch::Tensor both = log_probabilities(model);
  std::map<std::string, Adaptable> modules;
  for (const auto& [path, module] : model->adaptables()) {
    modules[path] = module;
  }
  embedding->merge();
  EXPECT_TRUE(torch::equal(modules["lm_head"]->weight, base));
  head->merge();
  EXPECT_TRUE(torch::equal(modules[table]->weight, base + embedding->delta(table)));
  EXPECT_TRUE(torch::equal(modules["lm_head"]->weight, base + head->delta("lm_head")));
  EXPECT_TRUE(torch::allclose(log_probabilities(model), both, 1e-4, 1e-4));
  embedding->unmerge();
  head->unmerge();
  EXPECT_TRUE(modules["lm_head"]->weight.is_same(modules[table]->weight));
}

TEST_F(TrainedParametersTest, CopiesOfSeveralAdaptersAddUp) {
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

TEST_F(TrainedParametersTest, WhatLiesBelowIsKnown) {
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
TEST_F(TrainedParametersTest, SequencesAreRoutedToTheirTablesAndCopies) {
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
TEST_F(TrainedParametersTest, TrainingPassesSeeTheTrainedHeadAndTheBases) {
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

TEST_F(TrainedParametersTest, CopiesAreChosenAsPeftDoes) {
  EXPECT_TRUE(saves_module({"norm"}, "model.layers.0.input_layernorm")) << "not at a dot";
  EXPECT_TRUE(saves_module({"mlp"}, "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(saves_module({"layers.1.mlp"}, "model.layers.1.mlp.up_proj"));
  EXPECT_FALSE(saves_module({"layers.1.mlp"}, "model.layers.11.mlp.up_proj"));
  EXPECT_FALSE(saves_module({"mlp.up"}, "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(saves_module({"model"}, "model.norm"));
}

TEST_F(TrainedParametersTest, RefusesWhatItCannotTrain) {
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

TEST_F(TrainedParametersTest, ALoraHoldsTablesAndNothingTrainedWhole) {
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
