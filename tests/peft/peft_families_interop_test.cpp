#include "peft/adapter.h"
#include "peft/adapter_config.h"
#include "peft/export.h"
#include "tests/peft/judged_test.h"
#include "tests/peft/shake.h"

namespace errata::peft {
namespace {

// Adapters of every type on several families, judged by the installed peft library.
class PeftFamiliesInteropTest : public JudgedTest {
 protected:
  // A model of the family and PEFT's adapters of these names for it.
  static void make(
      const std::string& family, const std::string& model, const std::vector<std::string>& names) {
    std::vector<std::string> commands = {"make-model " + model + " " + family};
    for (const std::string& name : names) {
      commands.push_back(concat("make-adapter ", model, " ", path(family + "-" + name), " ", name));
    }
    judge("peft_judge.py", commands);
  }
};

AdapterConfig of_type(const std::string& peft_type) {
  AdapterConfig config;
  config.peft_type = peft_type;
  config.prompt.num_virtual_tokens = 4;
  config.adaption.adapter_len = 5;
  config.adaption.adapter_layers = 2;
  return config;
}

// Prompts and prefixes, both ways. PEFT has LLaMA-Adapters of Llama and GPT-2 only, and no prefixes
// for RecurrentGemma.
TEST_F(PeftFamiliesInteropTest, PromptsAgree) {
  for (const std::string family : {"gemma3", "llama", "gpt2", "griffin"}) {
    const std::string model = path(family + "-prompts");
    std::vector<std::string> names = {"prompt", "p-tuning"};
    std::vector<AdapterConfig> configs = {of_type("PROMPT_TUNING"), of_type("P_TUNING")};
    if (family != "griffin") {
      names.insert(names.end(), {"prefix", "projected-prefix"});
      configs.push_back(of_type("PREFIX_TUNING"));
    }
    if (family == "llama" || family == "gpt2") {
      names.emplace_back("adaption");
      configs.push_back(of_type("ADAPTION_PROMPT"));
    }
    make(family, model, names);
    Model base = load_model(model);
    const std::vector<double> plain = own_score(base.decoder);
    std::vector<std::vector<double>> own;
    std::vector<std::string> commands;
    const auto expect = [&](const std::string& adapter) {
      own.push_back(own_score(base.decoder));
      commands.push_back("score " + model + " " + adapter);
    };
    for (const std::string& name : names) {
      const auto adapter = load_adapter(base.decoder, path(family + "-" + name));
      expect(path(family + "-" + name));
    }
    for (std::size_t i = 0; i < configs.size(); ++i) {
      const auto adapter = attach_adapter(base.decoder, configs[i], 5);
      shake(*adapter);
      save_adapter(*adapter, path(concat(family, "-own-", i)));
      expect(path(concat(family, "-own-", i)));
    }
    const auto judged = peft_scores(commands);
    ASSERT_EQ(judged.size(), own.size()) << family;
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_GT(distance(own[i], plain), 0.01) << commands[i] << ": the adapter must matter";
      EXPECT_LT(distance(own[i], judged[i]), kTolerance) << commands[i];
    }
  }
}

AdapterConfig of_every_linear(const std::string& peft_type) {
  AdapterConfig config;
  config.peft_type = peft_type;
  config.r = 5;
  config.adalora.init_r = 5;
  config.adalora.target_r = 3;
  config.target_regex = "all-linear";
  return config;
}

// Adapters of all linear layers, both ways and merged, on other families than Gemma 3.
TEST_F(PeftFamiliesInteropTest, OtherFamiliesAgree) {
  AdapterConfig dora = of_every_linear("LORA");
  dora.use_dora = true;
  AdapterConfig ia3;
  ia3.peft_type = "IA3";
  for (const std::string family : {"llama", "gpt2", "griffin"}) {
    const std::string model = path(family);
    std::vector<std::string> names = {"every-linear", "dora-every", "adalora-every", "vera-every"};
    std::vector<AdapterConfig> configs = {
        of_every_linear("LORA"), dora, of_every_linear("ADALORA"), of_every_linear("VERA")};
    if (family != "griffin") { // has no default targets
      names.emplace_back("ia3-default");
      configs.push_back(ia3);
    }
    make(family, model, names);
    Model base = load_model(model);
    const std::vector<double> plain = own_score(base.decoder);
    std::vector<std::vector<double>> own;
    std::vector<std::string> commands;
    const auto expect = [&](const std::string& command) {
      own.push_back(own_score(base.decoder));
      commands.push_back(command);
    };
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string theirs = path(family + "-" + names[i]);
      {
        const auto adapter = load_adapter(base.decoder, theirs);
        expect("score " + model + " " + theirs);
      }
      const std::string ours = path(concat(family, "-ours-", i));
      const std::string merged = path(concat(family, "-merged-", i));
      const auto adapter = attach_adapter(base.decoder, configs[i], 5);
      shake(*adapter);
      save_adapter(*adapter, ours);
      export_merged(model, {ours}, merged);
      expect("score " + model + " " + ours);
      expect("score-merged " + merged);
    }
    const auto judged = peft_scores(commands);
    ASSERT_EQ(judged.size(), own.size()) << family;
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_GT(distance(own[i], plain), 0.03) << commands[i] << ": the adapter must matter";
      EXPECT_LT(distance(own[i], judged[i]), kTolerance) << commands[i];
    }
  }
}

} // namespace
} // namespace errata::peft
