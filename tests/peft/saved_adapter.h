#pragma once

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// What its tensors' names begin with.
inline constexpr const char* kLayersInFile = "base_model.model.model.layers.";

/// A model and a directory with an adapter, whose files a test may change.
class SavedAdapterTest : public testing_support::SeedingTest {
 protected:
  // A filled adapter on q_proj and down_proj of layers 1 and 2, rank 3, one module of rank 2.
  std::unique_ptr<Adapter> make(Decoder& model, bool rslora = false) {
    AdapterConfig config;
    config.r = 3;
    config.lora_alpha = 5.5;
    config.use_rslora = rslora;
    config.target_modules = {"q_proj", "down_proj"};
    config.layers_to_transform = {1, 2};
    config.rank_pattern = {{"1.mlp.down_proj", 2}};
    config.alpha_pattern = {{"q_proj", 7}};
    auto adapter = attach_adapter(model, config, 1);
    const torch::NoGradGuard no_grad;
    for (auto [name, tensor] : adapter->named_parameters()) {
      tensor.normal_(0, 0.3);
    }
    return adapter;
  }

  void change_config(const std::function<void(Json&)>& change) {
    Json config = read_json(directory() / "adapter_config.json");
    change(config);
    write_file(directory() / "adapter_config.json", config.dump());
  }

  // Rewrites the tensors of the saved adapter.
  void change_tensors(const std::function<void(NamedTensors&)>& change) {
    NamedTensors tensors;
    {
      const SafetensorsFile file(directory() / "adapter_model.safetensors");
      for (const std::string& name : file.names()) {
        tensors.emplace_back(name, file.tensor(name).clone());
      }
    }
    change(tensors);
    save_safetensors(directory() / "adapter_model.safetensors", tensors);
  }

  void rename_tensors(const std::string& from, const std::string& to) {
    change_tensors([&](NamedTensors& tensors) {
      for (auto& [name, tensor] : tensors) {
        if (name.starts_with(from)) {
          name = to + name.substr(from.size());
        }
      }
    });
  }

  void expect_load_error(ErrorCode code, const std::vector<std::string>& parts) {
    testing_support::expect_error(code, parts, [&] { load_adapter(model_, directory()); });
  }

  std::filesystem::path directory() const { return temporary_ / "adapter"; }

  Decoder model_ = testing_support::tiny_decoder(3);
  testing_support::TemporaryDirectory temporary_;
};

} // namespace errata::peft
