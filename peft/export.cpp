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
#include "peft/attached_adapter.h"
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

// The embedding of a model whose head is tied to it, when an adapter changes one of the two: they
// need a weight each. Empty: nothing is to be untied.
std::string embedding_to_untie(const Decoder& model, const Adapters& attached) {
  const DecoderConfig& config = model->config();
  if (!config.tie_word_embeddings) {
    return {};
  }
  const std::string embedding = concat(config.names.root, ".", config.names.embedding);
  for (const auto& adapter : attached) {
    for (const std::string& module : adapter->modules()) {
      if (module == embedding || module == kHeadName) {
        return embedding;
      }
    }
  }
  return {};
}

// Its weights as the files will hold them.
void round_in_memory(Model& model, std::optional<torch::Dtype> dtype) {
  const torch::NoGradGuard no_grad;
  const WeightFiles base(model.directory);
  const auto round = [&](const std::string& name, torch::Tensor& value) {
    const torch::Dtype written = merged_dtype(base, name, dtype);
    if (written != torch::kFloat32) { // else mapped weights would be copied for nothing
      value.copy_(value.to(written));
    }
  };
  for (auto& item : model.decoder->named_parameters()) {
    round(item.key(), item.value());
  }
  const ModuleNames& names = model.decoder->config().names;
  const std::string embedding = concat(names.root, ".", names.embedding);
  torch::Tensor table = find_module(model.decoder, embedding)->weight;
  torch::Tensor head = find_module(model.decoder, kHeadName)->weight;
  if (model.decoder->config().tie_word_embeddings && !head.is_same(table)) {
    round(embedding + ".weight", head); // of its own since the merge
  }
}

// config.json in one of two dialects: what a merge changes of it.
void set_in_config(const fs::path& path, std::optional<torch::Dtype> dtype, bool untied) {
  OrderedJson config = OrderedJson::parse(read_file(path));
  for (OrderedJson* object :
       {&config, config.contains("text_config") ? &config["text_config"] : nullptr}) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (object != nullptr && dtype && object->contains(key)) {
        (*object)[key] = dtype_name(*dtype);
      }
    }
    if (object != nullptr && untied) {
      (*object)["tie_word_embeddings"] = false;
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
  bool untied = false;
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
    const std::string embedding = embedding_to_untie(model.decoder, attached);
    untied = !embedding.empty();
    const MergeCounts counts = write_merged_weights(
        WeightFiles(model_directory),
        attached,
        model.decoder->transposed_in_files(),
        embedding,
        staged.path(),
        options.dtype,
        options.shard_bytes,
        options.progress);
    result.modules = counts.modules;
    result.changed_entries = counts.changed_entries;
    result.rounded_back = counts.rounded_back;
    for (const auto& adapter : attached) {
      adapter->merge();
    }
    compare(adapted, probe_log_probabilities(model.decoder, probes), result.self_check);
    round_in_memory(model, options.dtype);
    expected = probe_log_probabilities(model.decoder, probes);
    result.self_check.rounding = largest_difference(adapted, expected);
  }
  copy_model_files(model_directory, staged.path());
  if (options.dtype || untied) {
    set_in_config(staged.path() / "config.json", options.dtype, untied);
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
