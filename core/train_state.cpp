#include "core/train_state.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/safetensors.h"

#include <mutex>
#include <utility>

namespace errata {
namespace {

constexpr const char* kProgressKey = "errata.progress";
constexpr const char* kOptionsKey = "errata.options";
constexpr const char* kLayoutKey = "errata.layout";

torch::Tensor generator_state(const torch::Device& device) {
  torch::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(const torch::Device& device, const torch::Tensor& state) {
  torch::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

std::vector<torch::Device> generator_devices(const torch::Tensor& values) {
  std::vector<torch::Device> devices{torch::kCPU};
  if (!values.device().is_cpu()) {
    devices.push_back(values.device());
  }
  return devices;
}

std::string generator_name(const torch::Device& device) {
  return device.is_cpu() ? "generator.cpu" : "generator.device";
}

Json to_json(const TrainProgress& progress) {
  return {
      {"step", progress.step},
      {"tokens", progress.tokens},
      {"skipped", progress.skipped},
      {"seconds", progress.seconds},
      {"recent", progress.recent},
      {"epoch_loss", progress.epoch_loss},
      {"epoch_steps", progress.epoch_steps},
      {"finished", progress.finished}};
}

TrainProgress progress_from_json(const Json& value, const std::string& where) {
  const JsonFields fields(value, where);
  TrainProgress progress;
  progress.step = fields.required<std::int64_t>("step");
  progress.tokens = fields.required<std::int64_t>("tokens");
  progress.skipped = fields.required<std::int64_t>("skipped");
  progress.seconds = fields.required<double>("seconds");
  progress.recent = fields.required<std::vector<double>>("recent");
  progress.epoch_loss = fields.required<double>("epoch_loss");
  progress.epoch_steps = fields.required<std::int64_t>("epoch_steps");
  progress.finished = fields.required<bool>("finished");
  return progress;
}

const std::string& metadata(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  ERRATA_CHECK(
      found != file.metadata().end(),
      ErrorCode::kCorrupt,
      file.path().string(),
      ": '",
      key,
      "' is missing; expected the state of a training run: remove it and start again");
  return found->second;
}

void check_same(
    const std::map<std::string, std::string>& mine, const Json& kept, const std::string& where) {
  for (const auto& [name, value] : mine) {
    const auto found = kept.find(name);
    const std::string other =
        found != kept.end() && found->is_string() ? found->get<std::string>() : "unset";
    ERRATA_CHECK(
        other == value,
        ErrorCode::kInvalidArgument,
        where,
        ": the interrupted run had ",
        name,
        " ",
        other,
        ", this one has ",
        value,
        "; resume with the same options or start again without --resume");
  }
}

void fill(const SafetensorsFile& file, const std::string& name, torch::Tensor target) {
  ERRATA_CHECK(
      file.has(name),
      ErrorCode::kCorrupt,
      file.path().string(),
      ": tensor '",
      name,
      "' is missing");
  const torch::Tensor source = file.tensor(name);
  ERRATA_CHECK(
      source.sizes() == target.sizes() && source.scalar_type() == target.scalar_type(),
      ErrorCode::kCorrupt,
      file.path().string(),
      ": tensor '",
      name,
      "' has another shape or type than this run needs");
  target.copy_(source);
}

} // namespace

TrainState::TrainState(
    std::filesystem::path directory, std::map<std::string, std::string> fingerprint)
    : directory_(std::move(directory)), fingerprint_(std::move(fingerprint)) {}

std::filesystem::path TrainState::file() const {
  return directory_ / "state.safetensors";
}

bool TrainState::exists() const {
  return std::filesystem::exists(file());
}

void TrainState::save(
    FlatParameters& parameters,
    const std::vector<NamedTensor>& others,
    const TrainProgress& progress) const {
  const torch::NoGradGuard no_grad;
  make_directories(directory_);
  std::vector<NamedTensor> tensors{{"parameters", parameters.values().cpu()}};
  for (const auto& [name, tensor] : others) {
    tensors.emplace_back(name, tensor.cpu());
  }
  for (const torch::Device& device : generator_devices(parameters.values())) {
    tensors.emplace_back(generator_name(device), generator_state(device));
  }
  save_safetensors(
      file(),
      tensors,
      {{kProgressKey, to_json(progress).dump()},
       {kOptionsKey, Json(fingerprint_).dump()},
       {kLayoutKey, sha256(parameters.layout())}});
}

TrainProgress TrainState::load(
    FlatParameters& parameters, const std::vector<NamedTensor>& others) const {
  const torch::NoGradGuard no_grad;
  const SafetensorsFile kept(file());
  const std::string where = file().string();
  check_same(fingerprint_, parse_json(metadata(kept, kOptionsKey), where), where);
  ERRATA_CHECK(
      metadata(kept, kLayoutKey) == sha256(parameters.layout()),
      ErrorCode::kInvalidArgument,
      where,
      ": the interrupted run trained other parameters; resume with the same model and targets or "
      "start again without --resume");
  const TrainProgress progress =
      progress_from_json(parse_json(metadata(kept, kProgressKey), where), where);
  fill(kept, "parameters", parameters.values());
  for (const auto& [name, tensor] : others) {
    fill(kept, name, tensor);
  }
  for (const torch::Device& device : generator_devices(parameters.values())) {
    torch::Tensor state = generator_state(device);
    fill(kept, generator_name(device), state);
    set_generator_state(device, state);
  }
  return progress;
}

} // namespace errata
