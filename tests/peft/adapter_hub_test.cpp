// Adapters that the adapters library (adapter-hub) wrote, and what it computes with them:
// tests/peft/adapter_hub, made by make_reference.py there.

#include "peft/adapter_hub.h"

#include "core/base/files.h"
#include "core/model.h"
#include "core/packed_batch.h"
#include "core/safetensors.h"
#include "peft/adapter_source.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;
using testing_support::expect_error;
using testing_support::TemporaryDirectory;

const fs::path kHubReference = ERRATA_SOURCE_DIR "/tests/peft/adapter_hub";

const Json& hub_reference() {
  static const Json reference = read_json(kHubReference / "reference.json");
  return reference;
}

std::vector<std::string> hub_cases() {
  std::vector<std::string> names;
  for (const auto& [name, logprobs] : hub_reference()["logprobs"].items()) {
    names.push_back(name);
  }
  return names;
}

Decoder model_of(const std::string& name) {
  return load_model(kHubReference / "models" / name.substr(0, name.find('-'))).decoder;
}

// The largest difference to the library's log-probabilities.
double distance_to(const Json& expected, Decoder& model) {
  const torch::NoGradGuard no_grad;
  const std::vector<std::vector<std::int32_t>> sequences = {
      hub_reference()["tokens"].get<std::vector<std::int32_t>>()};
  const torch::Tensor logprobs =
      torch::log_softmax(model->logits(model->hidden(pack(sequences))).to(torch::kFloat32), -1);
  double largest = 0;
  for (std::size_t i = 0; i + 1 < sequences[0].size(); ++i) {
    const double own = logprobs[static_cast<std::int64_t>(i)][sequences[0][i + 1]].item<double>();
    largest = std::max(largest, std::abs(own - expected[i].get<double>()));
  }
  return largest;
}

class AdapterHubCaseTest : public testing::TestWithParam<std::string> {};

TEST_P(AdapterHubCaseTest, ComputesWhatTheLibraryComputes) {
  const Json& expected = hub_reference()["logprobs"][GetParam()];
  Decoder model = model_of(GetParam());
  EXPECT_LE(distance_to(expected["base"], model), 2e-5);
  EXPECT_GT(distance_to(expected["adapted"], model), 0.5) << "the adapter must matter";
  const TemporaryDirectory directory;
  {
    const auto adapter = load_adapter(model, kHubReference / "adapters" / GetParam());
    EXPECT_LE(distance_to(expected["adapted"], model), 2e-5);
    save_adapter(*adapter, directory / "own");
  }
  // What errata makes of it is an adapter of its own.
  const auto again = load_adapter(model, directory / "own");
  EXPECT_LE(distance_to(expected["adapted"], model), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, AdapterHubCaseTest, testing::ValuesIn(hub_cases()), [](const auto& test) {
      std::string name = test.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

class AdapterHubTest : public testing::Test {
 protected:
  void SetUp() override { use("llama-pfeiffer"); }

  // A copy that a test may damage.
  void use(const std::string& name) {
    fs::remove_all(adapter());
    fs::create_directories(adapter());
    for (const auto& entry : fs::directory_iterator(kHubReference / "adapters" / name)) {
      fs::copy(entry.path(), adapter() / entry.path().filename());
    }
    model_ = model_of(name);
  }

  void change_config(const std::function<void(Json&)>& change) {
    Json json = read_json(adapter() / "adapter_config.json");
    change(json);
    write_file(adapter() / "adapter_config.json", json.dump());
  }

  void expect_load_error(ErrorCode code, const std::vector<std::string>& parts) {
    expect_error(code, parts, [&] { load_adapter(model_, adapter()); });
  }

  // After one change of the config, which is then taken back.
  void refuse(
      ErrorCode code, const std::vector<std::string>& parts, const char* key, const Json& value) {
    const std::string kept = read_file(adapter() / "adapter_config.json");
    change_config([&](Json& json) { json["config"][key] = value; });
    expect_load_error(code, parts);
    write_file(adapter() / "adapter_config.json", kept);
  }

  void change_tensors(const std::string& file, const std::function<void(NamedTensors&)>& change) {
    NamedTensors tensors;
    {
      const SafetensorsFile stored(adapter() / file);
      for (const std::string& name : stored.names()) {
        tensors.emplace_back(name, stored.tensor(name).clone());
      }
    }
    change(tensors);
    save_safetensors(adapter() / file, tensors);
  }

  fs::path adapter() const { return temporary_ / "adapter"; }

  TemporaryDirectory temporary_;
  Decoder model_{nullptr};
};

TEST_F(AdapterHubTest, IsTold) {
  const AdapterSource source = find_adapter(adapter());
  EXPECT_EQ(source.kind, AdapterKind::kHub);
  EXPECT_EQ(source.files().back().filename(), "adapter.safetensors");
  EXPECT_NO_THROW(load_adapter(model_, adapter()));
}

TEST_F(AdapterHubTest, WhatErrataDoesNotComputeIsRefusedByName) {
  const auto unsupported = ErrorCode::kUnsupported;
  for (const char* key :
       {"ln_before", "ln_after", "use_gating", "phm_layer", "cross_adapter", "new_switch"}) {
    refuse(unsupported, {"adapter_config.json", key, "(true)", "not supported"}, key, true);
  }
  refuse(unsupported, {"inv_adapter", "nice"}, "inv_adapter", "nice");
  refuse(unsupported, {"architecture", "lora"}, "architecture", "lora");
  refuse(unsupported, {"non_linearity", "leakyrelu", "gelu_new"}, "non_linearity", "leakyrelu");
  refuse(unsupported, {"scaling", "often"}, "scaling", "often");
  refuse(unsupported, {"residual_before_ln"}, "residual_before_ln", "post_add");
  refuse(unsupported, {"original_ln_after", "2 times"}, "residual_before_ln", false);
  refuse(unsupported, {"original_ln_after", "0 times"}, "original_ln_after", false);
  refuse(
      unsupported,
      {"reduction_factor", "layer to layer"},
      "reduction_factor",
      {{"0", 4}, {"default", 2}});
  refuse(ErrorCode::kCorrupt, {"reduction_factor", "layer 1"}, "reduction_factor", {{"0", 4}});
  refuse(ErrorCode::kCorrupt, {"reduction_factor", "0"}, "reduction_factor", 0);
  refuse(ErrorCode::kCorrupt, {"scaling", "million"}, "scaling", 1e9);
  refuse(ErrorCode::kCorrupt, {"leave_out", "every layer"}, "leave_out", {0, 1});
  refuse(ErrorCode::kCorrupt, {"mh_adapter", "output_adapter"}, "output_adapter", false);
  refuse(ErrorCode::kCorrupt, {"mh_adapter"}, "mh_adapter", "yes");
  use("llama-parallel");
  refuse(unsupported, {"original_ln_after"}, "original_ln_after", false);
  model_ = model_of("gpt2");
  expect_load_error(ErrorCode::kCorrupt, {"model_type", "'llama'", "gpt2"});
}

TEST_F(AdapterHubTest, OldConfigsMeanAnotherGelu) {
  change_config([](Json& json) { json["config"]["non_linearity"] = "gelu"; });
  EXPECT_EQ(load_adapter(model_, adapter())->config().bottleneck.non_linearity, "gelu");
  change_config([](Json& json) { json.erase("version"); });
  EXPECT_EQ(load_adapter(model_, adapter())->config().bottleneck.non_linearity, "gelu_new");
}

TEST_F(AdapterHubTest, PickleFilesAreRefusedWithTheWayOut) {
  fs::rename(adapter() / "adapter.safetensors", adapter() / "pytorch_adapter.bin");
  expect_load_error(ErrorCode::kUnsupported, {"pytorch_adapter.bin", "use_safetensors=True"});
  fs::remove(adapter() / "pytorch_adapter.bin");
  expect_load_error(ErrorCode::kNotFound, {"adapter.safetensors"});
}

TEST_F(AdapterHubTest, TensorsMustFit) {
  const auto corrupt = ErrorCode::kCorrupt;
  change_tensors("adapter.safetensors", [](auto& tensors) { tensors.pop_back(); });
  expect_load_error(corrupt, {"adapter.safetensors", "adapter_up.weight", "missing"});
  use("llama-pfeiffer");
  change_tensors("adapter.safetensors", [](auto& tensors) {
    tensors[0].second = torch::zeros({tensors[0].second.size(0) + 1});
  });
  expect_load_error(corrupt, {"adapter_down.bias", "shape [4]", "expected [3]"});
  use("llama-pfeiffer");
  change_tensors("adapter.safetensors", [](auto& tensors) {
    tensors.emplace_back(
        "model.layers.0.output_adapters.adapters.other.gate.weight", tensors[0].second);
  });
  expect_load_error(corrupt, {"adapters.other.gate.weight", "unexpected", "'edits'"});
  use("llama-pfeiffer");
  change_tensors("adapter.safetensors", [](auto& tensors) {
    tensors.emplace_back("model.layers.0.output_adapters.adapters.edits.scaling", torch::ones({1}));
  });
  expect_load_error(corrupt, {"scaling", "unexpected"});
  use("gpt2-pfeiffer");
  change_tensors("adapter.safetensors", [](auto& tensors) {
    for (auto& [name, tensor] : tensors) {
      tensor = name.ends_with("scaling") ? torch::ones({5}) : tensor;
    }
  });
  expect_load_error(corrupt, {"scaling", "[5]"});
  use("gpt2-pfeiffer");
  change_config([](Json& json) { json["name"] = "others"; });
  expect_load_error(corrupt, {"unexpected", "'others'"});
}

TEST_F(AdapterHubTest, ABaseWithoutAHeadSavesShorterNames) {
  fs::remove(adapter() / "model_head.safetensors");
  change_tensors("adapter.safetensors", [](auto& tensors) {
    for (auto& [name, tensor] : tensors) {
      name = name.substr(std::string("model.").size());
    }
  });
  const auto loaded = load_adapter(model_, adapter());
  EXPECT_LE(distance_to(hub_reference()["logprobs"]["llama-pfeiffer"]["adapted"], model_), 2e-5);
}

TEST_F(AdapterHubTest, ATrainedHeadIsRefused) {
  change_tensors("model_head.safetensors", [](auto& tensors) { tensors[0].second[3][2] += 0.25; });
  expect_load_error(
      ErrorCode::kUnsupported, {"model_head.safetensors", "lm_head.weight", "prediction head"});
  fs::remove(adapter() / "model_head.safetensors");
  write_file(adapter() / "pytorch_model_head.bin", "x");
  expect_load_error(ErrorCode::kUnsupported, {"pytorch_model_head.bin", "use_safetensors=True"});
}

TEST_F(AdapterHubTest, OtherHookPointsAreRefused) {
  use("qwen2-pfeiffer");
  EXPECT_NO_THROW(load_adapter(model_, adapter()));
  Json json = read_json(adapter() / "adapter_interface.json");
  json["interface"]["layer_ln_1"] = "post_attention_layernorm";
  write_file(adapter() / "adapter_interface.json", json.dump());
  expect_load_error(
      ErrorCode::kUnsupported,
      {"adapter_interface.json", "layer_ln_1", "post_attention_layernorm"});
}

} // namespace
} // namespace errata::peft
