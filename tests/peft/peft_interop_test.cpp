#include "core/base/files.h"
#include "core/base/json.h"
#include "core/model.h"
#include "core/packed_batch.h"
#include "peft/adapter.h"
#include "peft/adapter_config.h"
#include "peft/export.h"
#include "peft/targets.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <sstream>

namespace errata::peft {
namespace {

using testing_support::TemporaryDirectory;

namespace fs = std::filesystem;

// log-softmax in float32 over 70 tokens; the two programs differ in the order of their sums.
constexpr double kTolerance = 1e-4;
const std::vector<std::int32_t> kTokens = {2, 17, 5, 44, 9, 61, 30, 3, 3, 58, 12, 40};

// The installed peft library judges (tests/peft/peft_judge.py).
class PeftInteropTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    if (fs::exists(testing_support::python())) {
      judge("make-model " + model_path().string());
    }
  }
  static void TearDownTestSuite() { directory_.reset(); }

  void SetUp() override {
    if (!fs::exists(testing_support::python())) {
      GTEST_SKIP() << "no " << testing_support::python() << "; ./test.sh sets it up";
    }
    model_ = load_model(model_path());
  }

  static fs::path model_path() { return *directory_ / "model"; }
  static fs::path path(const std::string& name) { return *directory_ / name; }

  static std::string judge(const std::string& arguments) {
    const auto [status, output] = testing_support::run_shell(
        testing_support::python().string() + " " ERRATA_SOURCE_DIR "/tests/peft/peft_judge.py " +
        arguments + " 2>" + (*directory_ / "judge.log").string());
    EXPECT_EQ(status, 0) << arguments << "\n" << read_file(*directory_ / "judge.log");
    return output;
  }

  // One line of the judge's output for each command that prints.
  static std::vector<std::vector<double>> judged_scores(const std::vector<std::string>& commands) {
    std::string joined;
    for (const std::string& command : commands) {
      joined += (joined.empty() ? "" : " + ") + command;
    }
    std::istringstream lines(judge(joined));
    std::vector<std::vector<double>> scores;
    std::string line;
    while (std::getline(lines, line)) {
      scores.push_back(Json::parse(line).get<std::vector<double>>());
    }
    return scores;
  }

  static std::string make_command(const fs::path& out, const std::string& name) {
    return "make-adapter " + model_path().string() + " " + out.string() + " " + name;
  }
  static std::string score_command(const fs::path& adapter) {
    return "score " + model_path().string() + " " + adapter.string();
  }

  static std::vector<double> own_score(Decoder& model) {
    const torch::NoGradGuard no_grad;
    const std::vector<std::vector<std::int32_t>> sequences{kTokens};
    const torch::Tensor logits = model->logits(model->hidden(pack(sequences)));
    const torch::Tensor logprobs = torch::log_softmax(logits.to(torch::kFloat32), -1);
    std::vector<double> scores;
    for (std::size_t i = 0; i + 1 < kTokens.size(); ++i) {
      scores.push_back(logprobs[static_cast<std::int64_t>(i)][kTokens[i + 1]].item<double>());
    }
    return scores;
  }

  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(a[i] - b[i]));
    }
    return largest;
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
  Model model_;
};

std::unique_ptr<TemporaryDirectory> PeftInteropTest::directory_;

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
  const std::vector<double> base = own_score(model_.decoder);
  std::vector<std::vector<double>> own;
  std::vector<std::string> commands;
  for (const AdapterConfig& config : {plain, everywhere, patterns}) {
    const auto adapter = attach_lora(model_.decoder, config, 5);
    {
      const torch::NoGradGuard no_grad;
      for (auto [name, tensor] : adapter->named_parameters()) {
        tensor.normal_(0, 0.2);
      }
    }
    const fs::path out = path("ours" + std::to_string(own.size()));
    save_adapter(*adapter, out);
    own.push_back(own_score(model_.decoder));
    EXPECT_GT(distance(own.back(), base), 0.05) << "the adapter must matter";
    commands.push_back(score_command(out));
  }
  const auto judged = judged_scores(commands);
  ASSERT_EQ(judged.size(), own.size());
  for (std::size_t i = 0; i < own.size(); ++i) {
    EXPECT_LE(distance(own[i], judged[i]), kTolerance) << commands[i];
  }
}

TEST_F(PeftInteropTest, ErrataReadsWhatPeftWrites) {
  const std::vector<std::string> names = {"lora", "rslora", "patterns", "expression", "excluded"};
  std::vector<std::string> commands;
  for (const std::string& name : names) {
    commands.push_back(make_command(path("theirs_" + name), name));
    commands.push_back(score_command(path("theirs_" + name)));
  }
  const auto judged = judged_scores(commands);
  ASSERT_EQ(judged.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto adapter = load_adapter(model_.decoder, path("theirs_" + names[i]));
    EXPECT_LE(distance(own_score(model_.decoder), judged[i]), kTolerance) << names[i];
  }
}

TEST_F(PeftInteropTest, MergedExportIsTheAdaptedModel) {
  const fs::path first = path("merge_lora");
  const fs::path second = path("merge_patterns");
  judge(make_command(first, "lora") + " + " + make_command(second, "patterns"));
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
  const auto judged = judged_scores({"score-merged " + out.string()});
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
  const Json answers = Json::parse(judge("select " + path("question.json").string()));
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

// Adapters of all linear layers, both ways and merged, on other families than Gemma 3.
TEST_F(PeftInteropTest, OtherFamiliesAgree) {
  for (const std::string family : {"llama", "gpt2", "griffin"}) {
    const fs::path model = path(family);
    const fs::path theirs = path(family + "-theirs");
    const fs::path ours = path(family + "-ours");
    judge(concat(
        "make-model ",
        model.string(),
        " ",
        family,
        " + make-adapter ",
        model.string(),
        " ",
        theirs.string(),
        " every-linear"));
    Model base = load_model(model);
    const std::vector<double> plain = own_score(base.decoder);
    std::vector<std::vector<double>> own;
    {
      const auto adapter = load_adapter(base.decoder, theirs);
      own.push_back(own_score(base.decoder));
    }
    AdapterConfig config;
    config.r = 5;
    config.target_regex = "all-linear";
    {
      const auto adapter = attach_lora(base.decoder, config, 5);
      const torch::NoGradGuard no_grad;
      for (auto [name, tensor] : adapter->named_parameters()) {
        tensor.normal_(0, 0.2);
      }
      save_adapter(*adapter, ours);
      own.push_back(own_score(base.decoder));
    }
    export_merged(model, {ours}, path(family + "-merged"));
    own.push_back(own.back());
    const std::string score = "score " + model.string() + " ";
    const auto judged = judged_scores(
        {score + theirs.string(),
         score + ours.string(),
         "score-merged " + path(family + "-merged").string()});
    ASSERT_EQ(judged.size(), own.size()) << family;
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_GT(distance(own[i], plain), 0.05) << family << ": the adapter must matter";
      EXPECT_LT(distance(own[i], judged[i]), kTolerance) << family << " " << i;
    }
  }
}

} // namespace
} // namespace errata::peft
