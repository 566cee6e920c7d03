#include "core/base/files.h"
#include "core/base/json.h"
#include "peft/adalora.h"
#include "peft/adapter.h"
#include "peft/adapter_config.h"
#include "peft/combine.h"
#include "peft/export.h"
#include "peft/targets.h"
#include "tests/peft/judged_test.h"
#include "tests/peft/shake.h"

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// The installed peft library judges (tests/peft/peft_judge.py) on a small Gemma 3.
class PeftInteropTest : public JudgedTest {
 protected:
  static void SetUpTestSuite() {
    JudgedTest::SetUpTestSuite();
    if (judge_is_here()) {
      judge("peft_judge.py", {"make-model " + model_path()});
    }
  }

  void SetUp() override {
    JudgedTest::SetUp();
    if (!IsSkipped()) {
      model_ = load_model(model_path());
    }
  }

  static std::string model_path() { return path("model"); }

  static std::string make_command(const std::string& out, const std::string& name) {
    return "make-adapter " + model_path() + " " + out + " " + name;
  }
  static std::string score_command(const std::string& adapter) {
    return "score " + model_path() + " " + adapter;
  }

  // Each adapter, written here and run by PEFT.
  void expect_peft_agrees(const std::vector<AdapterConfig>& configs) {
    const std::vector<double> base = own_score(model_.decoder);
    std::vector<std::vector<double>> own;
    std::vector<std::string> commands;
    for (const AdapterConfig& config : configs) {
      const auto adapter = attach_adapter(model_.decoder, config, 5);
      shake(*adapter);
      const std::string out = path("ours" + std::to_string(own.size()));
      save_adapter(*adapter, out);
      own.push_back(own_score(model_.decoder));
      EXPECT_GT(distance(own.back(), base), 0.05) << "the adapter must matter";
      commands.push_back(score_command(out));
    }
    const auto judged = peft_scores(commands);
    ASSERT_EQ(judged.size(), own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_LE(distance(own[i], judged[i]), kTolerance) << commands[i];
    }
  }

  Model model_;
};

TEST_F(PeftInteropTest, PeftReadsWhatErrataWrites) {
  AdapterConfig plain;
  plain.r = 4;
  plain.lora_alpha = 6;
  AdapterConfig everywhere;
  everywhere.r = 9;
  everywhere.use_rslora = true;
  everywhere.target_regex = "all-linear";
  AdapterConfig patterns;
  patterns.r = 4;
  patterns.lora_alpha = 6.5;
  patterns.use_rslora = true;
  patterns.target_modules = {"q_proj", "down_proj", "mlp.up_proj"};
  patterns.layers_to_transform = {1, 2};
  patterns.rank_pattern = {{"layers.1.mlp.down_proj", 7}, {"q_proj", 2}};
  patterns.alpha_pattern = {{"up_proj", 3}, {"mlp.*", 11}};
  expect_peft_agrees({plain, everywhere, patterns});
}

TEST_F(PeftInteropTest, PeftReadsEveryTypeThatErrataWrites) {
  AdapterConfig dora;
  dora.r = 4;
  dora.use_dora = true;
  dora.use_rslora = true;
  dora.target_regex = "all-linear";
  AdapterConfig pissa;
  pissa.r = 3;
  pissa.lora_alpha = 5;
  pissa.init = LoraInit::kPissa;
  pissa.rank_pattern = {{"v_proj", 2}};
  AdapterConfig olora;
  olora.r = 3;
  olora.use_rslora = true;
  olora.init = LoraInit::kOlora;
  olora.alpha_pattern = {{"v_proj", 3}};
  AdapterConfig adalora;
  adalora.peft_type = "ADALORA";
  adalora.adalora.init_r = 5;
  adalora.adalora.target_r = 2;
  adalora.target_modules = {"q_proj", "down_proj"};
  AdapterConfig vera;
  vera.peft_type = "VERA";
  vera.r = 13;
  vera.target_modules = {"q_proj", "k_proj", "down_proj"};
  vera.layers_to_transform = {0, 2};
  AdapterConfig drawn_again = vera;
  drawn_again.vera.save_projection = false;
  drawn_again.vera.projection_prng_key = 8;
  drawn_again.exclude_modules = {"0.self_attn.q_proj"};
  AdapterConfig ia3;
  ia3.peft_type = "IA3";
  AdapterConfig late_ia3 = ia3;
  late_ia3.layers_to_transform = {1, 2};
  AdapterConfig outputs_only = ia3;
  outputs_only.target_modules = {"down_proj"};
  outputs_only.feedforward_modules.emplace();
  expect_peft_agrees({dora, pissa, olora, adalora, vera, drawn_again, ia3, late_ia3, outputs_only});
}

TEST_F(PeftInteropTest, PeftReadsPrunedAdaLora) {
  AdapterConfig config;
  config.peft_type = "ADALORA";
  config.adalora.init_r = 5;
  config.adalora.target_r = 2;
  config.target_modules = {"q_proj", "down_proj"};
  auto adapter = attach_adapter(model_.decoder, config, 5);
  shake(*adapter);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      if (name.ends_with("lora_E")) {
        tensor.detach().slice(0, 1, name.find("q_proj") != std::string::npos ? 5 : 3).zero_();
      }
    }
  }
  const auto pruned = drop_pruned(model_.decoder, std::move(adapter), config.adalora);
  save_adapter(*pruned, path("pruned"));
  const auto judged = peft_scores({score_command(path("pruned"))});
  ASSERT_EQ(judged.size(), 1);
  EXPECT_LE(distance(own_score(model_.decoder), judged[0]), kTolerance);
}

TEST_F(PeftInteropTest, ErrataReadsWhatPeftWrites) {
  const std::vector<std::string> names = {
      "lora",
      "rslora",
      "patterns",
      "expression",
      "excluded",
      "dora",
      "adalora",
      "vera",
      "vera-unsaved",
      "ia3",
      "ia3-no-feedforward",
      "ia3-family-feedforward"};
  std::vector<std::string> commands;
  for (const std::string& name : names) {
    commands.push_back(make_command(path("theirs_" + name), name));
    commands.push_back(score_command(path("theirs_" + name)));
  }
  const auto judged = peft_scores(commands);
  ASSERT_EQ(judged.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto adapter = load_adapter(model_.decoder, path("theirs_" + names[i]));
    EXPECT_LE(distance(own_score(model_.decoder), judged[i]), kTolerance) << names[i];
  }
}

TEST_F(PeftInteropTest, MergedExportIsTheAdaptedModel) {
  const std::string first = path("merge_lora");
  const std::string second = path("merge_patterns");
  judge("peft_judge.py", {make_command(first, "lora"), make_command(second, "patterns")});
  const auto a = load_adapter(model_.decoder, first);
  const auto b = load_adapter(model_.decoder, second);
  const std::vector<double> own = own_score(model_.decoder);
  ExportOptions options;
  options.shard_bytes = 20'000; // several shards
  const fs::path out = path("merged");
  const ExportResult result = export_merged(model_path(), {first, second}, out, options);
  EXPECT_GT(result.files.size(), 4);
  EXPECT_GT(result.changed_entries, 0);
  EXPECT_LE(result.self_check.max_difference, kTolerance);
  EXPECT_TRUE(fs::exists(out / "model.safetensors.index.json"));
  const auto judged = peft_scores({"score-merged " + out.string()});
  ASSERT_EQ(judged.size(), 1);
  EXPECT_LE(distance(own, judged[0]), kTolerance);
}

TEST_F(PeftInteropTest, SelectionIsPefts) {
  std::vector<std::string> paths;
  for (const auto& [module, linear] : model_.decoder->linears()) {
    paths.push_back(module);
  }
  paths.insert(
      paths.end(),
      {"lm_head",
       "layers.3.self_attn.q_proj",
       "model.layers.1.mlp.experts.0.up_proj",
       "model.layers.12.self_attn.q_proj",
       "model.language_model.layers.1.self_attn.q_proj",
       "model.layers.1.xq_proj",
       "q_proj"});
  const std::vector<std::string> configs = {
      R"({"target_modules": ["q_proj"]})",
      R"({"target_modules": ["q_proj", "mlp.up_proj", "nothing"]})",
      R"({"target_modules": ["1.self_attn.q_proj", "layers.2.mlp.down_proj"]})",
      R"({"target_modules": [".*q_proj"]})",
      R"({"target_modules": ".*q_proj"})",
      R"({"target_modules": "q_proj"})",
      R"({"target_modules": ".*\\.(1|12)\\..*(q_proj|up_proj)$"})",
      R"({"target_modules": "model\\.layers\\.(?!1\\.)\\d+\\.mlp\\..*"})",
      R"({"target_modules": ["q_proj", "up_proj", "lm_head"], "layers_to_transform": [1, 3]})",
      R"({"target_modules": ["q_proj"], "layers_to_transform": [1, 3], "layers_pattern": "layers"})",
      R"({"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layers"]})",
      R"({"target_modules": ["q_proj"], "layers_to_transform": [0, 1], "layers_pattern": "experts"})",
      R"({"target_modules": ["up_proj"], "layers_to_transform": [0]})",
      R"({"target_modules": ["q_proj"], "exclude_modules": ["1.self_attn.q_proj"]})",
      R"({"target_modules": ["q_proj"], "exclude_modules": ".*\\.[01]\\..*"})",
      R"({"target_modules": ["model.layers.2.mlp.up_proj"], "layers_to_transform": [1]})",
      R"({"target_modules": ["q_proj"], "rank_pattern": {"1.self_attn.q_proj": 2, "q_proj": 3}})",
      R"({"target_modules": ["q_proj"], "rank_pattern": {"^q_proj": 2, "layers\\..*": 5}})",
      R"({"target_modules": ["q_proj", "k_proj"], "rank_pattern": {"(q|k)_proj": 2, "q_proj": 3}})",
      R"({"target_modules": ["q_proj"], "rank_pattern": {"^model\\.layers\\.0\\.self_attn\\.q_proj": 2}})"};
  OrderedJson question;
  question["paths"] = paths;
  for (const std::string& config : configs) {
    question["configs"].push_back(OrderedJson::parse(config));
  }
  write_json(path("question.json"), question);
  const Json answers = judge("peft_judge.py", {"select " + path("question.json")}).at(0);
  ASSERT_EQ(answers.size(), configs.size());
  for (std::size_t i = 0; i < configs.size(); ++i) {
    write_file(path("config.json"), R"({"peft_type": "LORA", )" + configs[i].substr(1));
    const AdapterConfig config = read_adapter_config(path("config.json"));
    const TargetMatcher matcher(config);
    std::vector<std::string> selected;
    std::vector<std::int64_t> ranks;
    for (const std::string& module : paths) {
      if (matcher.matches(module)) {
        selected.push_back(module);
        ranks.push_back(module_rank(config, module));
      }
    }
    EXPECT_EQ(Json(selected), answers[i].at("selected")) << configs[i];
    EXPECT_EQ(Json(ranks), answers[i].at("ranks")) << configs[i];
  }
}

// Weighted combinations are PEFT's add_weighted_adapter, but for the random ones.
TEST_F(PeftInteropTest, CombinationsArePefts) {
  const std::string first = path("combine_first");
  const std::string second = path("combine_second");
  for (const auto& [out, seed] : {std::pair{first, 1}, {second, 2}}) {
    AdapterConfig config;
    config.r = 4;
    config.lora_alpha = seed == 1 ? 6 : 9;
    config.target_modules = {"q_proj", "up_proj"};
    const auto adapter = attach_adapter(model_.decoder, config, 5);
    shake(*adapter);
    save_adapter(*adapter, out);
  }
  const auto a = load_adapter(model_.decoder, first);
  const auto b = load_adapter(model_.decoder, second);
  a->set_enabled(false);
  b->set_enabled(false);
  const std::vector<std::string> kinds = {
      "cat", "svd", "ties_svd", "magnitude_prune_svd", "linear", "ties", "magnitude_prune"};
  std::vector<std::vector<double>> own;
  std::vector<std::string> commands;
  for (const std::string& kind : kinds) {
    CombineOptions options;
    options.combination = kind;
    options.weights = {0.7, -0.4};
    options.density = 0.4;
    options.rank = 3;
    const auto combined = combine_adapters(model_.decoder, {a.get(), b.get()}, options);
    own.push_back(own_score(model_.decoder));
    commands.push_back(concat("combine ", model_path(), " ", first, " ", second, " ", kind));
  }
  const auto judged = peft_scores(commands);
  ASSERT_EQ(judged.size(), own.size());
  for (std::size_t i = 0; i < own.size(); ++i) {
    EXPECT_LT(distance(own[i], judged[i]), kTolerance) << kinds[i];
  }
}

} // namespace
} // namespace errata::peft
