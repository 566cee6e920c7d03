#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/resources.h"
#include "core/safetensors.h"
#include "peft/adapter.h"
#include "tests/peft/saved_adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"

#include <algorithm>
#include <functional>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::tiny_decoder;

namespace fs = std::filesystem;

class SaveLoadTest : public SavedAdapterTest {};

TEST_F(SaveLoadTest, RoundTripKeepsEveryBit) {
  for (const bool rslora : {false, true}) {
    auto adapter = make(model_, rslora);
    const torch::Tensor expected = log_probabilities(model_);
    save_adapter(*adapter, directory(), {{"errata.method", "lora"}});
    const auto saved = adapter->named_parameters();
    adapter.reset();
    const auto loaded = load_adapter(model_, directory());
    EXPECT_TRUE(torch::equal(log_probabilities(model_), expected));
    const auto read = loaded->named_parameters();
    ASSERT_EQ(read.size(), saved.size());
    for (std::size_t i = 0; i < saved.size(); ++i) {
      EXPECT_EQ(read[i].first, saved[i].first);
      EXPECT_TRUE(torch::equal(read[i].second, saved[i].second)) << read[i].first;
    }
    EXPECT_EQ(loaded->config().use_rslora, rslora);
    EXPECT_EQ(loaded->first_layer(), 1);
  }
  const SafetensorsFile file(directory() / "adapter_model.safetensors");
  EXPECT_EQ(file.metadata().at("errata.method"), "lora");
  EXPECT_TRUE(file.metadata().contains("errata.version"));
  EXPECT_TRUE(file.has(std::string(kLayersInFile) + "1.self_attn.q_proj.lora_A.weight"));
}

TEST_F(SaveLoadTest, ConfigHasFewOldKeysAndNoPath) {
  save_adapter(*make(model_), directory());
  const Json config = read_json(directory() / "adapter_config.json");
  EXPECT_EQ(config.at("peft_type"), "LORA");
  EXPECT_EQ(config.at("layers_to_transform"), (std::vector<int>{1, 2}));
  EXPECT_TRUE(config.at("base_model_name_or_path").is_null());
  EXPECT_FALSE(config.contains("use_rslora"));
  EXPECT_FALSE(config.contains("errata_type"));
}

TEST_F(SaveLoadTest, DeltaRoundTrip) {
  const torch::Tensor change = torch::randn({24, 40}) * 0.1;
  const std::string module = "model.layers.2.mlp.down_proj";
  auto adapter = attach_delta(model_, {{module, change}});
  const torch::Tensor expected = log_probabilities(model_);
  save_adapter(*adapter, directory());
  adapter.reset();
  const auto loaded = load_adapter(model_, directory());
  EXPECT_EQ(loaded->config().peft_type, "DELTA");
  EXPECT_TRUE(torch::equal(loaded->delta(module), change));
  EXPECT_TRUE(torch::equal(log_probabilities(model_), expected));
}

TEST_F(SaveLoadTest, SavingReplacesAnOlderAdapterAndKeepsOtherFiles) {
  fs::create_directories(directory());
  write_file(directory() / "README.md", "mine");
  write_file(directory() / "adapter_config.json", "{}");
  save_adapter(*make(model_), directory());
  EXPECT_EQ(read_file(directory() / "README.md"), "mine");
  EXPECT_NO_THROW(load_adapter(model_, directory()));
}

TEST_F(SaveLoadTest, FullDiskLeavesNothingBehind) {
  const auto adapter = make(model_);
  const fs::path deep = temporary_ / "new" / "deeper";
  for (const std::int64_t bytes : {0, 100, 4000}) {
    set_disk_limit_for_testing(bytes);
    expect_error(ErrorCode::kIo, {"No space left"}, [&] { save_adapter(*adapter, deep); });
    set_disk_limit_for_testing(-1);
    EXPECT_TRUE(fs::is_empty(temporary_.path())) << bytes;
  }
  save_adapter(*adapter, directory());
  const std::string before = read_file(directory() / "adapter_model.safetensors");
  set_disk_limit_for_testing(100);
  expect_error(ErrorCode::kIo, {"No space left"}, [&] { save_adapter(*adapter, directory()); });
  set_disk_limit_for_testing(-1);
  EXPECT_EQ(read_file(directory() / "adapter_model.safetensors"), before);
}

TEST_F(SaveLoadTest, TensorsMustFitExactly) {
  const auto damaged = [&](const std::function<void(NamedTensors&)>& change) {
    save_adapter(*make(model_), directory());
    change_tensors(change);
  };
  const auto named = [](const std::string& part) {
    return [part](const auto& entry) { return entry.first.find(part) != std::string::npos; };
  };
  damaged([&](NamedTensors& tensors) { // half a pair
    std::erase_if(tensors, named("1.self_attn.q_proj.lora_B"));
  });
  expect_load_error(
      ErrorCode::kCorrupt,
      {"adapter_model.safetensors", "model.layers.1.self_attn.q_proj.lora_B.weight is missing"});
  damaged([&](NamedTensors& tensors) {
    std::find_if(tensors.begin(), tensors.end(), named("2.mlp.down_proj.lora_A"))->second =
        torch::zeros({4, 40});
  });
  expect_load_error(ErrorCode::kCorrupt, {"2.mlp.down_proj.lora_A.weight", "[4, 40]", "[3, 40]"});
  damaged([&](NamedTensors& tensors) {
    tensors.emplace_back(
        std::string(kLayersInFile) + "0.self_attn.q_proj.lora_A.weight", torch::zeros({3, 24}));
  });
  expect_load_error(ErrorCode::kCorrupt, {"layers.0.self_attn.q_proj.lora_A.weight is unexpected"});
  damaged([&](NamedTensors& tensors) { tensors.emplace_back("stray", torch::zeros({1})); });
  expect_load_error(ErrorCode::kCorrupt, {"stray", "base_model.model."});
  damaged([&](NamedTensors& tensors) { tensors[0].second.view(-1)[0] = NAN; });
  expect_load_error(ErrorCode::kCorrupt, {"not finite"});
  damaged([&](NamedTensors& tensors) {
    for (int i = 0; i < 25; ++i) {
      tensors.emplace_back(
          std::string(kLayersInFile) + std::to_string(30 + i) + ".mlp.x.lora_A.weight",
          torch::zeros({1}));
    }
  });
  expect_load_error(ErrorCode::kCorrupt, {"and 5 more"});
}

// A rank of a million is allowed, and terabytes on a large model: the file is asked before memory.
TEST_F(SaveLoadTest, SizesThatTheFileDoesNotHoldAreNotAllocated) {
  struct Case {
    const char* peft_type;
    const char* key;
    Json value;
  };
  constexpr std::int64_t kMillion = 1 << 20;
  const Json patterns = {{"q_proj", kMillion}};
  const std::vector<Case> cases = {
      {"LORA", "r", kMillion},
      {"LORA", "rank_pattern", patterns},
      {"ADALORA", "init_r", kMillion},
      {"VERA", "r", kMillion},
      {"PROMPT_TUNING", "num_virtual_tokens", kMillion},
      {"P_TUNING", "num_virtual_tokens", kMillion},
      {"PREFIX_TUNING", "num_virtual_tokens", kMillion},
      {"ADAPTION_PROMPT", "adapter_len", kMillion},
      {"BOTTLENECK", "reduction_factor", 1e-3}};
  const torch::Tensor before = log_probabilities(model_);
  for (const Case& one : cases) {
    AdapterConfig config;
    config.peft_type = one.peft_type;
    config.vera.save_projection = false; // drawn again at the size that the config says
    save_adapter(*attach_adapter(model_, config, 1), directory());
    EXPECT_NO_THROW(load_adapter(model_, directory())) << one.peft_type;
    change_config([&](Json& json) { json[one.key] = one.value; });
    const std::uint64_t peak = peak_rss_bytes();
    expect_load_error(
        ErrorCode::kCorrupt, {"has shape", "expected", one.value == 1e-3 ? "24000" : "1048576"});
    // One tensor of that size has 100 MB.
    EXPECT_LT(peak_rss_bytes() - peak, 20u << 20) << one.peft_type << ' ' << one.key;
    EXPECT_TRUE(torch::equal(log_probabilities(model_), before)) << one.peft_type;
  }
}

TEST_F(SaveLoadTest, ConfigKeysThatChangeTheMeaningAreRefused) {
  save_adapter(*make(model_), directory());
  const Json saved = read_json(directory() / "adapter_config.json");
  const auto with = [&](const char* key, const Json& value) {
    change_config([&](Json& config) {
      config = saved;
      config[key] = value;
    });
  };
  const std::vector<std::pair<const char*, Json>> refused = {
      {"bias", "vera_only"},
      {"lora_bias", true},
      {"init_lora_weights", "pissa_niter_4"},
      {"layer_replication", {{0, 1}}},
      {"trainable_token_indices", {1}},
      {"task_type", "SEQ_CLS"},
      {"a_key_of_the_future", 3},
      {"peft_type", "LOHA"}};
  for (const auto& [key, value] : refused) {
    with(key, value);
    expect_load_error(
        ErrorCode::kUnsupported,
        {"adapter_config.json", value.is_string() ? value.get<std::string>() : key});
  }
  const std::vector<std::pair<const char*, Json>> harmless = {
      {"a_key_of_the_future", nullptr},
      {"loftq_config", Json::object()},
      {"megatron_core", "megatron.core"},
      {"qalora_group_size", 16},
      {"peft_version", "0.21.2"},
      {"init_lora_weights", "gaussian"},
      {"inference_mode", false},
      {"use_dora", false}};
  for (const auto& [key, value] : harmless) {
    with(key, value);
    EXPECT_NO_THROW(load_adapter(model_, directory())) << key;
  }
  with("modules_to_save", {"lm_head"});
  expect_load_error(ErrorCode::kCorrupt, {"lm_head.weight is missing"});
  with("modules_to_save", "lm_head");
  expect_load_error(ErrorCode::kCorrupt, {"modules_to_save", "list"});
  with("modules_to_save", {"nothing_of_this_model"}); // as in PEFT
  EXPECT_NO_THROW(load_adapter(model_, directory()));
  with("r", 0);
  expect_load_error(ErrorCode::kCorrupt, {"rank"});
  with("target_modules", 3);
  expect_load_error(ErrorCode::kCorrupt, {"target_modules"});
  with("target_modules", ".*q_proj"); // together with layers_to_transform
  expect_load_error(ErrorCode::kCorrupt, {"adapter_config.json", "layers_to_transform"});
}

TEST_F(SaveLoadTest, OtherKindsAndMissingFilesAreNamed) {
  expect_load_error(ErrorCode::kNotFound, {"adapter"});
  save_adapter(*make(model_), directory());
  const auto with_config = [&](const char* text) {
    write_file(directory() / "adapter_config.json", text);
  };
  with_config(R"({"fine_tune_type": "lora"})");
  expect_load_error(ErrorCode::kCorrupt, {"lora_parameters"}); // taken for mlx-lm's
  with_config(R"({"mh_adapter": true})");
  expect_load_error(ErrorCode::kUnsupported, {"adapter-hub"});
  with_config(R"({"errata_type": "RIVER", "format": 1})");
  expect_load_error(ErrorCode::kUnsupported, {"RIVER"});
  with_config(R"({"errata_type": "BOTTLENECK", "format": 2})");
  expect_load_error(ErrorCode::kUnsupported, {"BOTTLENECK", "format 2"});
  with_config(R"({"errata_type": "BOTTLENECK", "format": 1})");
  expect_load_error(ErrorCode::kCorrupt, {"after_attention"});
  with_config(R"({"some": 1, "thing": 2})");
  expect_load_error(ErrorCode::kCorrupt, {"some, thing"});
  with_config("{");
  expect_load_error(ErrorCode::kCorrupt, {"adapter_config.json"});
  fs::rename(directory() / "adapter_model.safetensors", directory() / "adapter_model.bin");
  with_config(R"({"peft_type": "LORA"})");
  expect_load_error(ErrorCode::kUnsupported, {"adapter_model.bin", "safe_serialization"});
  fs::remove(directory() / "adapter_model.bin");
  expect_load_error(ErrorCode::kNotFound, {"adapter_model.safetensors"});
  fs::create_directories(directory() / "second");
  fs::rename(directory() / "adapter_config.json", directory() / "second" / "adapter_config.json");
  expect_load_error(ErrorCode::kNotFound, {"did you mean", "second"});
}

} // namespace
} // namespace errata::peft
