#include "core/base/json.h"
#include "peft/adapter.h"
#include "peft/export.h"
#include "tests/peft/judged_test.h"
#include "tests/peft/shake.h"
#include "tests/support/expect_error.h"

#include <functional>

namespace errata::peft {
namespace {

// Embeddings and heads as targets, biases and whole modules: judged by the installed peft library
// on several families, both ways and merged.
class PeftTablesInteropTest : public JudgedTest {};

AdapterConfig on(std::vector<std::string> targets) {
  AdapterConfig config;
  config.r = 4;
  config.lora_alpha = 3;
  config.target_modules = std::move(targets);
  return config;
}

AdapterConfig of_type(const std::string& peft_type, AdapterConfig config) {
  config.peft_type = peft_type;
  config.adalora.init_r = 4;
  config.adalora.target_r = 2;
  return config;
}

AdapterConfig with(AdapterConfig config, TrainedBias bias, std::vector<std::string> modules = {}) {
  config.trained_bias = bias;
  config.modules_to_save = std::move(modules);
  return config;
}

std::vector<AdapterConfig> own_configs(const std::string& family) {
  const bool gpt2 = family == "gpt2";
  const std::string q = gpt2 ? "c_attn" : "q_proj";
  const std::string table = gpt2 ? "wte" : "embed_tokens";
  const std::string norm = gpt2 ? "ln_f" : "norm";
  AdapterConfig patterns = on({table, "lm_head", q});
  patterns.use_rslora = true;
  patterns.rank_pattern = {{table, 2}};
  patterns.alpha_pattern = {{"lm_head", 5}};
  AdapterConfig dora = on({table, "lm_head", q});
  dora.use_dora = true;
  AdapterConfig pissa = on({table, q});
  pissa.init = LoraInit::kPissa;
  return {
      on({q, table}),
      on({"lm_head"}),
      patterns,
      dora,
      pissa,
      with(on({q}), TrainedBias::kAll),
      with(on({q}), TrainedBias::kTargets),
      with(on({q}), TrainedBias::kNone, {norm}),
      with(on({q, "lm_head"}), TrainedBias::kNone, {table}),
      with(on({q, table}), TrainedBias::kAll, {"1.mlp", "lm_head"}),
      with(of_type("ADALORA", on({q, "lm_head"})), TrainedBias::kAll, {table}),
      with(of_type("VERA", on({q, "lm_head"})), TrainedBias::kTargets, {norm}),
      with(of_type("IA3", on({gpt2 ? "c_attn" : "k_proj"})), TrainedBias::kNone, {"lm_head"}),
  };
}

TEST_F(PeftTablesInteropTest, EveryFamilyAgrees) {
  for (const std::string family : {"gemma3", "llama", "gpt2", "griffin"}) {
    const std::string model = path(family);
    std::vector<std::string> names = {
        "embedding",
        "embedding-alone",
        "head",
        "both-tables",
        "dora-tables",
        family == "gpt2" ? "tied-by-expression" : "tied-tables",
        "tied-copies",
        "bias-targets",
        "dora-bias",
        "saved-tables",
        "vera-saved"};
    if (family != "griffin") { // whose convolution has a bias
      names.insert(
          names.end(), {"bias-all", "saved-norms", "saved-block", "adalora-saved", "ia3-saved"});
    }
    if (family == "gpt2") {
      names.emplace_back("positions");
    }
    std::vector<std::string> commands = {"make-model " + model + " " + family};
    for (const std::string& name : names) {
      commands.push_back(concat("make-adapter ", model, " ", path(family + "-" + name), " ", name));
    }
    judge("peft_judge.py", commands);

    Model base = load_model(model);
    const std::vector<double> plain = own_score(base.decoder);
    std::vector<std::vector<double>> own;
    commands.clear();
    const auto expect = [&](const std::string& command) {
      own.push_back(own_score(base.decoder));
      commands.push_back(command);
    };
    for (const std::string& name : names) {
      const std::string theirs = path(family + "-" + name);
      const auto adapter = load_adapter(base.decoder, theirs);
      expect("score " + model + " " + theirs);
      const std::string merged = path(family + "-merged-" + name);
      export_merged(model, {theirs}, merged);
      expect("score-merged " + merged);
    }
    std::size_t count = 0;
    for (const AdapterConfig& config : own_configs(family)) {
      if (family == "griffin" &&
          (config.trained_bias == TrainedBias::kAll || config.modules_to_save.size() > 1)) {
        continue;
      }
      const std::string ours = path(concat(family, "-ours-", count++));
      const auto adapter = attach_adapter(base.decoder, config, 5);
      shake(*adapter);
      save_adapter(*adapter, ours);
      expect("score " + model + " " + ours);
    }
    const auto judged = peft_scores(commands);
    ASSERT_EQ(judged.size(), own.size()) << family;
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_GT(distance(own[i], plain), 0.03) << commands[i] << ": the adapter must matter";
      EXPECT_LT(distance(own[i], judged[i]), kTolerance) << commands[i];
    }
  }
}

// Where the head is tied to the embedding, transformers must read the two of a merge apart.
TEST_F(PeftTablesInteropTest, MergesOfTiedModelsAreUntied) {
  for (const std::string family : {"gemma3", "gpt2", "bare-gpt2"}) {
    const std::string model = path("tied-" + family);
    judge("peft_judge.py", {"make-model " + model + " " + family});
    Model base = load_model(model);
    ASSERT_TRUE(base.decoder->config().tie_word_embeddings);
    std::vector<std::vector<double>> own;
    std::vector<std::string> commands;
    const std::string table = family == "gemma3" ? "embed_tokens" : "wte";
    for (const std::string& target : {table, std::string("lm_head")}) {
      const auto adapter = attach_adapter(base.decoder, on({target}), 5);
      shake(*adapter);
      const std::string ours = path(concat("tied-", family, "-", target));
      save_adapter(*adapter, ours);
      ExportOptions options;
      options.shard_bytes = 20'000;
      const ExportResult result = export_merged(model, {ours}, ours + "-merged", options);
      EXPECT_EQ(result.modules, 1);
      EXPECT_EQ(read_json(ours + "-merged/config.json").at("tie_word_embeddings"), false);
      own.push_back(own_score(base.decoder));
      commands.push_back("score-merged " + ours + "-merged");
    }
    const auto judged = peft_scores(commands);
    ASSERT_EQ(judged.size(), own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_LT(distance(own[i], judged[i]), kTolerance) << commands[i];
    }
  }
}

// PEFT 0.21.2 itself loses the head of such an adapter when it loads it.
TEST_F(PeftTablesInteropTest, TiedTargetsThatPeftLosesAreRefused) {
  const std::string model = path("lost-gpt2");
  judge(
      "peft_judge.py",
      {concat("make-model ", model, " gpt2"),
       concat("make-adapter ", model, " ", path("lost"), " tied-tables")});
  Model base = load_model(model);
  testing_support::expect_error(
      ErrorCode::kUnsupported, {"adapter_config.json", "ensure_weight_tying", "lm_head"}, [&] {
        load_adapter(base.decoder, path("lost"));
      });
}

} // namespace
} // namespace errata::peft
