// EVA's start as the installed peft library makes it (tests/peft/eva_judge.py), and its adapters
// there.

#include "core/base/random.h"
#include "editing/eva.h"
#include "tests/peft/judged_test.h"
#include "tests/peft/shake.h"

#include <algorithm>
#include <map>
#include <set>

namespace errata::editing {
namespace {

using peft::AdapterConfig;

// All of them, over and over.
class Sequences final : public ExampleSource {
 public:
  explicit Sequences(const std::vector<std::vector<std::int32_t>>& all) : all_(all) {}
  TrainExample next() override { return {all_[next_++ % all_.size()], 1, false, 1.0}; }

 private:
  const std::vector<std::vector<std::int32_t>>& all_;
  std::size_t next_ = 0;
};

class EvaInteropTest : public peft::JudgedTest {
 protected:
  static void SetUpTestSuite() {
    JudgedTest::SetUpTestSuite();
    if (judge_is_here()) {
      judge("peft_judge.py", {"make-model " + path("model")});
    }
    Random random(5);
    sequences_.assign(60, {});
    for (auto& tokens : sequences_) {
      tokens.resize(5 + random.index(12));
      for (std::int32_t& token : tokens) {
        // Some tokens far more often than others, as in texts.
        token = static_cast<std::int32_t>(random.index(1 + random.index(70)));
      }
    }
  }

  static std::map<std::string, InputMoment> moments(
      Decoder& model, const std::vector<std::string>& modules) {
    Sequences source(sequences_);
    BatchOptions options;
    options.batch_tokens = options.micro_tokens = 100'000; // all in one
    options.pool = static_cast<std::int64_t>(sequences_.size());
    return input_moments(model, modules, source, options, /*batches=*/1);
  }

  // What the layers see: a pass leaves the last token out.
  static Json seen() {
    Json all = Json::array();
    for (const auto& tokens : sequences_) {
      all.push_back(std::vector<std::int32_t>(tokens.begin(), tokens.end() - 1));
    }
    return all;
  }

  static inline std::vector<std::vector<std::int32_t>> sequences_;
};

torch::Tensor to_tensor(const Json& rows) {
  std::vector<torch::Tensor> stacked;
  for (const Json& row : rows) {
    stacked.push_back(torch::tensor(row.get<std::vector<double>>(), torch::kFloat32));
  }
  return torch::stack(stacked);
}

std::map<std::string, std::int64_t> ranks_of(const std::map<std::string, torch::Tensor>& rows) {
  std::map<std::string, std::int64_t> ranks;
  for (const auto& [module, a] : rows) {
    ranks.emplace(module, a.size(0));
  }
  return ranks;
}

// Directions that modules with one input have in common compete on equal terms: where the budget
// ends among them, peft's sort, which is not stable, decides which of those modules has one more.
void expect_same_ranks(
    const Json& theirs,
    const std::map<std::string, InputMoment>& moments,
    const std::map<std::string, std::int64_t>& ours) {
  std::map<const void*, std::pair<std::multiset<std::int64_t>, std::multiset<std::int64_t>>> inputs;
  std::size_t different = 0;
  for (const auto& [module, rank] : ours) {
    const std::int64_t judged =
        theirs.contains(module) ? static_cast<std::int64_t>(theirs[module].size()) : 0;
    auto& [own, peft] = inputs[moments.at(module).second.unsafeGetTensorImpl()];
    own.insert(rank);
    peft.insert(judged);
    different += rank == judged ? 0 : 1;
  }
  for (const auto& [input, ranks] : inputs) {
    EXPECT_EQ(ranks.first, ranks.second);
  }
  EXPECT_LE(different, 3u) << "more than the modules of one input";
}

void expect_same_start(
    const Json& judged,
    const AdapterConfig& config,
    const std::map<std::string, torch::Tensor>& directions) {
  const std::map<std::string, std::int64_t> ranks(
      config.rank_pattern.begin(), config.rank_pattern.end());
  const std::map<std::string, double> alphas(
      config.alpha_pattern.begin(), config.alpha_pattern.end());
  for (const auto& [module, a] : directions) {
    const Json& rows = judged["directions"].value(module, Json::array());
    const auto common = std::min<std::int64_t>(a.size(0), static_cast<std::int64_t>(rows.size()));
    if (common > 0) {
      const torch::Tensor cosine =
          (to_tensor(rows).slice(0, 0, common) * a.slice(0, 0, common)).sum(1);
      EXPECT_GT(cosine.min().item<double>(), 0.999) << module << cosine;
    }
    if (common == 0 || a.size(0) != static_cast<std::int64_t>(rows.size())) {
      continue;
    }
    EXPECT_EQ(Json(ranks).value(module, 0), judged["rank_pattern"].value(module, 0)) << module;
    EXPECT_EQ(Json(alphas).value(module, 0.0), judged["alpha_pattern"].value(module, 0.0))
        << module;
    EXPECT_NEAR(module_scale(config, module), judged["scales"][module].get<double>(), 1e-12)
        << module;
  }
}

TEST_F(EvaInteropTest, RanksAndDirectionsAreThoseOfPeft) {
  Model model = load_model(path("model"));
  const Json cases = {
      {{"r", 6}, {"rho", 2.0}, {"alpha", 12.0}, {"rslora", false}},
      {{"r", 5}, {"rho", 1.0}, {"alpha", 7.0}, {"rslora", false}},
      {{"r", 1}, {"rho", 4.0}, {"alpha", 3.0}, {"rslora", true}}};
  write_file(path("cases.json"), Json{{"sequences", seen()}, {"cases", cases}}.dump());
  const auto judged = judge("eva_judge.py", {path("model") + " " + path("cases.json")});
  ASSERT_EQ(judged.size(), cases.size());
  std::vector<std::vector<double>> own;
  std::vector<std::string> commands;
  std::size_t dropped = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].dump());
    AdapterConfig config;
    config.r = cases[i]["r"];
    config.lora_alpha = cases[i]["alpha"];
    config.use_rslora = cases[i]["rslora"];
    config.target_regex = "all-linear";
    const auto modules = match_targets(model.decoder, config);
    const auto seen_moments = moments(model.decoder, modules);
    const auto directions =
        eva_directions(modules, seen_moments, config.r, cases[i]["rho"].get<double>());
    expect_same_ranks(judged[i]["directions"], seen_moments, ranks_of(directions));
    config = with_ranks(config, modules, ranks_of(directions));
    expect_same_start(judged[i], config, directions);
    // And what is made of it is there what it is here.
    const auto adapter = attach_adapter(model.decoder, config, 3);
    dropped += modules.size() - adapter->modules().size();
    peft::shake(*adapter);
    own.push_back(own_score(model.decoder));
    const std::string out = path("eva" + std::to_string(i));
    save_adapter(*adapter, out);
    commands.push_back("score " + path("model") + " " + out);
  }
  EXPECT_GT(dropped, 0) << "one case must leave a module without directions";
  const auto scores = peft_scores(commands);
  for (std::size_t i = 0; i < own.size(); ++i) {
    EXPECT_LE(distance(own[i], scores[i]), kTolerance) << commands[i];
  }
}

} // namespace
} // namespace errata::editing
