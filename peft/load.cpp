#include "core/base/error.h"
#include "core/base/files.h"
#include "peft/adapter_config.h"
#include "peft/adapter_hub.h"
#include "peft/adapter_source.h"
#include "peft/adapter_tensors.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"
#include "peft/gguf_adapter.h"
#include "peft/mlx_adapter.h"
#include "peft/targets.h"

#include <cmath>
#include <set>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamesShown = 20;

// What is wrong with an adapter's tensors, gathered so that all of it is said at once.
class Findings {
 public:
  void add(const std::string& finding) {
    if (++count_ <= kNamesShown) {
      text_ += (text_.empty() ? "" : "; ") + finding;
    }
  }

  void check(const fs::path& path) const {
    ERRATA_CHECK(
        count_ == 0,
        ErrorCode::kCorrupt,
        path.string(),
        " does not fit its config and this model: ",
        text_,
        count_ > kNamesShown ? concat("; and ", count_ - kNamesShown, " more") : "");
  }

 private:
  std::string text_;
  std::size_t count_ = 0;
};

std::string shape(at::IntArrayRef sizes) {
  return concat(sizes);
}

// Takes the tensors one by one and keeps account of what is missing, mis-shaped or left over.
class TensorTaker {
 public:
  explicit TensorTaker(AdapterTensors& source) : tensors_(source.tensors) {}

  torch::Tensor take(const std::string& name, const std::vector<std::int64_t>& expected) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      findings_.add("tensor " + name + " is missing");
      return torch::Tensor();
    }
    const torch::Tensor tensor = found->second;
    tensors_.erase(found);
    if (tensor.sizes() != at::IntArrayRef(expected)) {
      findings_.add(
          "tensor " + name + " has shape " + shape(tensor.sizes()) + ", expected " +
          shape(expected));
      return torch::Tensor();
    }
    return tensor;
  }

  void finish(const fs::path& path) {
    for (const auto& [name, tensor] : tensors_) {
      findings_.add("tensor " + name + " is unexpected");
    }
    findings_.check(path);
  }

 private:
  std::map<std::string, torch::Tensor>& tensors_;
  Findings findings_;
};

std::string below_root(const Decoder& model, const std::string& path) {
  return path.substr(model->config().names.root.size() + 1);
}

std::string own_name(
    const Decoder& model, const std::string& file_name, const std::string& prefix) {
  return file_name.starts_with(prefix)
             ? concat(model->config().names.root, ".", file_name.substr(prefix.size()))
             : file_name;
}

// The modules that the config selects when the decoder's modules carry the file's names.
std::vector<std::string> select_as_in_file(
    const Decoder& model, const AdapterConfig& config, const std::string& prefix) {
  const TargetMatcher matcher(config);
  std::vector<std::string> modules;
  for (const auto& [path, linear] : model->linears()) {
    if (matcher.matches(prefix + below_root(model, path))) {
      modules.push_back(path);
    }
  }
  return modules;
}

// The config in the decoder's own names. Only when the file's names were others and the selection
// or the patterns depend on that are they written out module by module.
AdapterConfig in_own_names(
    const Decoder& model,
    const AdapterConfig& config,
    const std::vector<std::string>& modules,
    const std::string& prefix) {
  const auto file_name = [&](const std::string& module) {
    return prefix + below_root(model, module);
  };
  bool same = select_as_in_file(model, config, model->config().names.root + ".") == modules;
  for (const std::string& module : modules) {
    same = same && module_rank(config, module) == module_rank(config, file_name(module)) &&
           module_scale(config, module) == module_scale(config, file_name(module));
  }
  AdapterConfig own = config;
  own.adalora.kept.clear();
  for (const auto& [module, kept] : config.adalora.kept) {
    own.adalora.kept[own_name(model, module, prefix)] = kept;
  }
  if (same) {
    return own;
  }
  own.target_regex.reset();
  own.exclude_regex.reset();
  own.exclude_modules.clear();
  own.layers_to_transform.clear();
  own.layers_pattern.clear();
  own.rank_pattern.clear();
  own.alpha_pattern.clear();
  own.target_modules = modules;
  for (const std::string& module : modules) {
    const std::int64_t rank = module_rank(config, file_name(module));
    const double divisor =
        config.use_rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
    const double alpha = module_scale(config, file_name(module)) * divisor;
    if (rank != own.r) {
      own.rank_pattern.emplace_back(module, rank);
    }
    if (alpha != own.lora_alpha) {
      own.alpha_pattern.emplace_back(module, alpha);
    }
  }
  return own;
}

std::unique_ptr<Adapter> attach_as_in_file(
    Decoder& model, const AdapterConfig& read, const std::string& prefix, const fs::path& path) {
  const AdapterType& type = adapter_type(read);
  if (!type.selects_linears) {
    return type.attach(model, read, {}, Start::kFromFile, /*seed=*/0);
  }
  const AdapterConfig config = resolve_targets(model, read);
  const auto modules = select_as_in_file(model, config, prefix);
  ERRATA_CHECK(
      !modules.empty(),
      ErrorCode::kCorrupt,
      path.parent_path().string(),
      ": the adapter's target_modules select no linear layer of this model");
  return type.attach(
      model,
      in_own_names(model, config, modules, prefix),
      modules,
      Start::kFromFile,
      /*seed=*/0);
}

// The file's tensors in the order of the adapter's. What the config asks for is worked out on a
// decoder without memory: a damaged size must not be allocated to be found wrong.
std::vector<torch::Tensor> take_all(
    const Decoder& model, const AdapterConfig& read, AdapterTensors& file, const fs::path& path) {
  Decoder shape(model->config(), torch::TensorOptions().device(torch::kMeta));
  const auto expected = attach_as_in_file(shape, read, file.model_prefix, path);
  std::vector<torch::Tensor> values;
  TensorTaker taker(file);
  for (const auto& [name, tensor] : expected->file_tensors()) {
    values.push_back(taker.take(name, tensor.sizes().vec()));
  }
  taker.finish(path);
  return values;
}

std::unique_ptr<Adapter> load_peft(
    Decoder& model, const AdapterConfig& read, AdapterTensors& file, const fs::path& path) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> values = take_all(model, read, file, path);
  std::unique_ptr<Adapter> adapter = attach_as_in_file(model, read, file.model_prefix, path);
  std::size_t next = 0;
  for (const auto& [name, tensor] : adapter->file_tensors()) {
    tensor.detach().copy_(values[next++]);
  }
  return adapter;
}

std::unique_ptr<Adapter> load_delta(
    Decoder& model, const AdapterConfig& config, AdapterTensors& file, const fs::path& path) {
  const std::set<std::string> listed(config.target_modules.begin(), config.target_modules.end());
  TensorTaker taker(file);
  std::vector<std::pair<std::string, torch::Tensor>> deltas;
  std::size_t known = 0;
  for (const auto& [module, linear] : model->linears()) {
    if (listed.contains(module)) {
      ++known;
      deltas.emplace_back(module, taker.take(module + ".delta", linear->weight.sizes().vec()));
    }
  }
  taker.finish(path);
  ERRATA_CHECK(
      known == listed.size(),
      ErrorCode::kCorrupt,
      path.parent_path().string(),
      ": target_modules lists ",
      listed.size() - known,
      " modules that this model does not have");
  return attach_delta(model, deltas);
}

// Adapters other than PEFT's "default" lie one level deeper.
std::string nested_hint(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_directory() && fs::exists(entry.path() / kConfigFile)) {
      return "; did you mean " + entry.path().string() + "?";
    }
  }
  return "; expected a PEFT adapter directory";
}

void require_adapter_files(const fs::path& directory) {
  require_directory(directory, "adapter directory");
  ERRATA_CHECK(
      fs::exists(directory / kConfigFile),
      ErrorCode::kNotFound,
      "no ",
      kConfigFile,
      " in ",
      directory.string(),
      nested_hint(directory));
  require_file(directory / kConfigFile, "adapter config");
  ERRATA_CHECK(
      fs::exists(directory / kTensorFile) || !fs::exists(directory / "adapter_model.bin"),
      ErrorCode::kUnsupported,
      (directory / "adapter_model.bin").string(),
      " is a pickle file; save the adapter with PEFT's safe_serialization=True to get ",
      kTensorFile);
}

} // namespace

std::unique_ptr<Adapter> load_adapter(Decoder& model, const fs::path& directory) {
  const AdapterSource source = find_adapter(directory);
  if (source.kind == AdapterKind::kGguf) {
    return load_gguf_adapter(model, source.tensors);
  }
  if (source.kind == AdapterKind::kMlx) {
    return load_mlx_adapter(model, directory);
  }
  if (source.kind == AdapterKind::kHub) {
    HubAdapter adapter = read_adapter_hub(model, directory);
    return load_peft(model, adapter.config, adapter.tensors, source.tensors);
  }
  require_adapter_files(directory);
  const AdapterConfig config = read_adapter_config(directory / kConfigFile);
  const fs::path path = directory / kTensorFile;
  require_file(path, "adapter weights");
  const bool delta = config.peft_type == "DELTA";
  AdapterTensors file =
      read_adapter_tensors(path, delta ? nullptr : &adapter_type(config), model->config().names);
  try {
    return delta ? load_delta(model, config, file, path) : load_peft(model, config, file, path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) {
      throw;
    }
    // A selection that would be a wrong argument is damage when it comes from a file.
    ERRATA_FAIL(ErrorCode::kCorrupt, (directory / kConfigFile).string(), ": ", error.what());
  }
}

} // namespace errata::peft
