#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/device.h"
#include "core/version.h"
#include "peft/adapter.h"
#include "peft/adapter_source.h"
#include "peft/adapter_types.h"
#include "peft/export.h"
#include "peft/export_check.h"
#include "peft/export_target.h"
#include "peft/gguf_adapter.h"
#include "peft/gguf_names.h"
#include "peft/lora_pairs.h"
#include "peft/mlx_adapter.h"
#include "peft/probe.h"
#include "peft/staged_directory.h"

#include <cmath>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// Replaces an adapter that is no plain LoRA by its best one; the share of the change that is lost.
double truncate(Decoder& model, std::unique_ptr<Adapter>& adapter, std::int64_t rank) {
  std::vector<std::pair<std::string, torch::Tensor>> deltas;
  double whole = 0;
  for (const std::string& module : adapter->modules()) {
    deltas.emplace_back(module, adapter->delta(module));
    whole += deltas.back().second.square().sum().item<double>();
  }
  adapter.reset();
  adapter = attach_truncated_delta(model, deltas, rank);
  double lost = 0;
  for (const auto& [module, delta] : deltas) {
    lost += (adapter->delta(module) - delta).square().sum().item<double>();
  }
  return whole > 0 ? std::sqrt(lost / whole) : 0.0;
}

torch::Tensor rounded_to(torch::Dtype dtype, const torch::Tensor& values) {
  const torch::Tensor rounded = values.to(dtype).to(torch::kFloat32);
  ERRATA_CHECK(
      torch::isfinite(rounded).all().item<bool>(),
      ErrorCode::kInvalidArgument,
      "values of the adapter up to ",
      values.abs().max().item<float>(),
      " do not fit ",
      dtype_name(dtype),
      "; choose another --dtype");
  return rounded;
}

bool is_plain_lora(const Adapter& adapter) {
  return adapter.config().peft_type == "LORA" && !adapter.config().use_dora;
}

// What a LoRA can approximate: changes of weights, and of nothing else.
void require_truncatable(const Adapter& adapter, const fs::path& path) {
  ERRATA_CHECK(
      changes_weights_alone(adapter),
      ErrorCode::kUnsupported,
      path.string(),
      ": an adapter ",
      adapter.can_merge() ? beyond_pairs(adapter) : "that is no change of weights",
      ", which no LoRA of a --rank has; ",
      way_out(adapter));
}

// The export of one adapter: its base with it attached, and what the probes say.
class AdapterExport {
 public:
  // `format` as messages call it.
  AdapterExport(
      const fs::path& model_directory,
      const fs::path& adapter,
      const std::string& format,
      const ExportOptions& options)
      : model(load_for_check(model_directory, options.device, /*hash=*/false)),
        attached(load_adapter(model.decoder, adapter)),
        metadata(adapter_metadata(find_adapter(adapter))) {
    metadata.emplace("errata.version", build_info().version);
    if (attached->config().peft_type == "DELTA") {
      ERRATA_CHECK(
          options.rank.has_value(),
          ErrorCode::kUnsupported,
          adapter.string(),
          " is an exact weight difference, which ",
          format,
          " cannot hold; give --rank to truncate it to a LoRA, or use --to merged");
    }
    if (options.rank && !is_plain_lora(*attached)) {
      require_truncatable(*attached, adapter);
      result.truncation_error = truncate(model.decoder, attached, *options.rank);
    }
    result.modules = static_cast<std::int64_t>(attached->modules().size());
    probes_ = probe_sequences(model);
    expected_ = probe();
  }

  // Puts the pairs that a file is to hold in the place of the adapter: first as they are, which
  // must change nothing, then rounded to `dtype`, which is what reading it back must give.
  void expect_pairs(const std::vector<LoraPair>& pairs, torch::Dtype dtype) {
    replace(pairs);
    compare(expected_, probe(), result.self_check);
    if (dtype == torch::kFloat32) {
      return;
    }
    std::vector<LoraPair> rounded = pairs;
    for (LoraPair& pair : rounded) {
      pair.a = rounded_to(dtype, pair.a);
      pair.b = rounded_to(dtype, pair.b);
    }
    replace(rounded);
    const torch::Tensor after = probe();
    result.self_check.rounding = largest_difference(expected_, after);
    expected_ = after;
  }

  // Reads the written adapter back.
  void check_written(const fs::path& path) {
    attached.reset();
    attached = load_adapter(model.decoder, path);
    compare(expected_, probe(), result.self_check);
  }

  Model model;
  std::unique_ptr<Adapter> attached; ///< goes before the model
  std::map<std::string, std::string> metadata;
  ExportResult result;

 private:
  torch::Tensor probe() { return probe_log_probabilities(model.decoder, probes_); }

  void replace(const std::vector<LoraPair>& pairs) {
    attached.reset();
    attached = attach_lora_pairs(model.decoder, pairs);
  }

  std::vector<std::vector<std::int32_t>> probes_;
  torch::Tensor expected_;
};

std::string last_name(const fs::path& path) {
  const fs::path full = fs::absolute(path).lexically_normal();
  return (full.has_filename() ? full : full.parent_path()).filename().string();
}

// "quickstart" of out/quickstart/adapter, which is what edit-batch calls every adapter.
std::string tuned_name(const fs::path& adapter) {
  const fs::path full = fs::absolute(adapter).lexically_normal();
  const std::string name = last_name(full);
  if (name == "adapter") {
    return last_name((full.has_filename() ? full : full.parent_path()).parent_path());
  }
  return name.ends_with(".gguf") ? fs::path(name).stem().string() : name;
}

std::int64_t parameter_count(const Decoder& model) {
  std::int64_t count = 0;
  for (const torch::Tensor& parameter : model->parameters()) {
    count += parameter.numel();
  }
  return count;
}

bool is_multimodal(const fs::path& model_directory) {
  const Json config = read_json(model_directory / "config.json");
  return config.value("model_type", "") == "gemma3";
}

} // namespace

ExportResult export_peft(
    const fs::path& model_directory,
    const fs::path& adapter,
    const fs::path& out,
    const ExportOptions& options) {
  check_export_target(out, {model_directory, adapter}, options.force);
  AdapterExport run(model_directory, adapter, "PEFT", options);
  ERRATA_CHECK(
      !adapter_type(run.attached->config()).own,
      ErrorCode::kUnsupported,
      adapter.string(),
      ": PEFT does not know ",
      adapter_type(run.attached->config()).name,
      "; ",
      way_out(*run.attached));
  StagedDirectory staged(out);
  save_adapter(*run.attached, staged.path(), run.metadata);
  run.check_written(staged.path());
  run.result.files = list_files(staged.path());
  staged.commit_replacing();
  return run.result;
}

ExportResult export_gguf(
    const fs::path& model_directory,
    const fs::path& adapter,
    const fs::path& out,
    const ExportOptions& options) {
  const bool is_file = out.extension() == ".gguf";
  if (is_file) {
    check_export_file(out, {model_directory, adapter}, options.force);
  } else {
    check_export_target(out, {model_directory, adapter}, options.force);
  }
  const torch::Dtype dtype = options.dtype.value_or(torch::kFloat32);
  const std::string encoding = gguf_encoding(dtype);
  GgufNames{load_decoder_config(model_directory)}; // refuses before anything large is read
  AdapterExport run(model_directory, adapter, "GGUF", options);
  const std::vector<LoraPair> pairs = fold_for_gguf(lora_pairs(*run.attached, "GGUF"));
  run.expect_pairs(pairs, dtype);
  const GgufFileName name = gguf_file_name(
      last_name(model_directory),
      parameter_count(run.model.decoder),
      tuned_name(adapter),
      encoding);
  // A single file is staged in a directory of its own.
  StagedDirectory staged(is_file ? fs::path(out.string() + ".export") : out);
  const fs::path file = staged.path() / (is_file ? out.filename() : fs::path(name.text()));
  write_gguf_adapter(file, pairs, run.model.decoder->config(), dtype, name, run.metadata);
  run.check_written(file);
  run.result.files = list_files(staged.path());
  if (is_file) {
    staged.commit_file(file.filename(), out);
  } else {
    staged.commit_replacing();
  }
  return run.result;
}

ExportResult export_mlx(
    const fs::path& model_directory,
    const fs::path& adapter,
    const fs::path& out,
    const ExportOptions& options) {
  check_export_target(out, {model_directory, adapter}, options.force);
  AdapterExport run(model_directory, adapter, "mlx-lm", options);
  MlxDetails details;
  details.multimodal = is_multimodal(model_directory);
  details.dropout = run.attached->config().lora_dropout;
  details.dtype = options.dtype.value_or(torch::kFloat32);
  details.metadata = run.metadata;
  const std::vector<LoraPair> pairs = fold_for_mlx(lora_pairs(*run.attached, "mlx-lm"));
  run.expect_pairs(pairs, details.dtype);
  StagedDirectory staged(out);
  write_mlx_adapter(staged.path(), pairs, run.model.decoder, details);
  run.check_written(staged.path());
  run.result.files = list_files(staged.path());
  staged.commit_replacing();
  return run.result;
}

} // namespace errata::peft
