#include "peft/export.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/device.h"
#include "core/model.h"
#include "core/version.h"
#include "peft/adapter.h"
#include "peft/adapter_source.h"
#include "peft/adapter_types.h"
#include "peft/export_check.h"
#include "peft/export_target.h"
#include "peft/merged_weights.h"
#include "peft/probe.h"
#include "peft/staged_directory.h"

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

using Adapters = std::vector<std::unique_ptr<Adapter>>;

void require_mergeable(const Adapter& adapter, const fs::path& path) {
  ERRATA_CHECK(
      adapter.can_merge(),
      ErrorCode::kUnsupported,
      path.string(),
      ": ",
      adapter_type(adapter.config()).name,
      " is no change of weights and cannot be merged; ",
      way_out(adapter));
}

// The model with its adapters' deltas in its weights.
void merge_in_memory(Model& model, const Adapters& attached) {
  const torch::NoGradGuard no_grad;
  const auto parameters = model.decoder->named_parameters();
  for (const auto& adapter : attached) {
    for (const std::string& module : adapter->modules()) {
      const torch::Tensor bias = adapter->bias_delta(module);
      parameters[module + ".weight"].add_(adapter->delta(module));
      if (bias.defined()) {
        parameters[module + ".bias"].add_(bias);
      }
    }
  }
  for (const auto& adapter : attached) {
    adapter->set_enabled(false);
  }
}

// Its weights as the files will hold them.
void round_in_memory(Model& model, std::optional<torch::Dtype> dtype) {
  const torch::NoGradGuard no_grad;
  const WeightFiles base(model.directory);
  for (const auto& item : model.decoder->named_parameters()) {
    const torch::Dtype written = merged_dtype(base, item.key(), dtype);
    if (written != torch::kFloat32) { // else mapped weights would be copied for nothing
      item.value().copy_(item.value().to(written));
    }
  }
}

// config.json names the dtype in one of two dialects.
void set_config_dtype(const fs::path& path, torch::Dtype dtype) {
  OrderedJson config = OrderedJson::parse(read_file(path));
  for (OrderedJson* object :
       {&config, config.contains("text_config") ? &config["text_config"] : nullptr}) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (object != nullptr && object->contains(key)) {
        (*object)[key] = dtype_name(dtype);
      }
    }
  }
  write_json(path, config);
}

OrderedJson adapter_provenance(const fs::path& adapter) {
  const AdapterSource source = find_adapter(adapter);
  OrderedJson entry;
  entry["sha256"] = sha256_file(source.tensors);
  if (!source.config.empty()) {
    entry["config_sha256"] = sha256_file(source.config);
  }
  for (const auto& [key, value] : adapter_metadata(source)) {
    entry[key] = value;
  }
  return entry;
}

OrderedJson provenance(
    const std::string& base_hash,
    const std::vector<fs::path>& adapters,
    const std::vector<double>& weights,
    const ExportResult& result) {
  OrderedJson json;
  json["format"] = "merged";
  json["errata_version"] = build_info().version;
  json["base_sha256"] = base_hash;
  json["adapters"] = OrderedJson::array();
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    json["adapters"].push_back(adapter_provenance(adapters[i]));
    if (!weights.empty()) {
      json["adapters"].back()["weight"] = weights[i];
    }
  }
  json["files"] = OrderedJson::object();
  for (const ExportedFile& file : result.files) {
    json["files"][file.name] = file.sha256;
  }
  json["modules"] = result.modules;
  json["changed_entries"] = result.changed_entries;
  json["rounded_back"] = result.rounded_back;
  json["self_check"] = {
      {"max_logprob_difference", result.self_check.max_difference},
      {"max_logprob_rounding", result.self_check.rounding},
      {"tolerance", result.self_check.tolerance},
      {"positions", result.self_check.positions}};
  return json;
}

} // namespace

ExportResult export_merged(
    const fs::path& model_directory,
    const std::vector<fs::path>& adapters,
    const fs::path& out,
    const ExportOptions& options) {
  std::vector<fs::path> inputs = adapters;
  inputs.push_back(model_directory);
  ERRATA_CHECK(!adapters.empty(), ErrorCode::kInvalidArgument, "no adapter to merge is given");
  check_export_target(out, inputs, options.force);
  ExportResult result;
  std::vector<std::vector<std::int32_t>> probes;
  torch::Tensor expected;
  std::string base_hash;
  StagedDirectory staged(out);
  {
    // Gone before the merged model is loaded: never two models in memory.
    Model model = load_for_check(model_directory, options.device, /*hash=*/true);
    Adapters attached;
    for (const fs::path& adapter : adapters) {
      attached.push_back(load_adapter(model.decoder, adapter));
      require_mergeable(*attached.back(), adapter);
      if (!options.weights.empty()) {
        attached.back()->set_weight(options.weights.at(attached.size() - 1));
      }
    }
    base_hash = model.hash;
    probes = probe_sequences(model);
    const torch::Tensor adapted = probe_log_probabilities(model.decoder, probes);
    const MergeCounts counts = write_merged_weights(
        WeightFiles(model_directory),
        attached,
        model.decoder->transposed_in_files(),
        staged.path(),
        options.dtype,
        options.shard_bytes,
        options.progress);
    result.modules = counts.modules;
    result.changed_entries = counts.changed_entries;
    result.rounded_back = counts.rounded_back;
    merge_in_memory(model, attached);
    compare(adapted, probe_log_probabilities(model.decoder, probes), result.self_check);
    round_in_memory(model, options.dtype);
    expected = probe_log_probabilities(model.decoder, probes);
    result.self_check.rounding = largest_difference(adapted, expected);
  }
  copy_model_files(model_directory, staged.path());
  if (options.dtype) {
    set_config_dtype(staged.path() / "config.json", *options.dtype);
  }
  {
    Model merged = load_for_check(staged.path(), options.device, /*hash=*/false);
    compare(expected, probe_log_probabilities(merged.decoder, probes), result.self_check);
  }
  result.files = list_files(staged.path());
  write_json(
      staged.path() / "errata.json", provenance(base_hash, adapters, options.weights, result));
  result.files = list_files(staged.path());
  staged.commit_replacing();
  return result;
}

} // namespace errata::peft
