#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/device.h"
#include "peft/export.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <ostream>

namespace errata::cli {
namespace {

struct ExportFlags {
  std::string to;
  std::string out;
  std::int64_t rank = 0;
  std::optional<double> shard_gigabytes;
  bool force = false;
};

peft::ExportOptions export_options(
    const ExportFlags& flags, const CommonOptions& common, const Streams& streams) {
  peft::ExportOptions options;
  options.device = parse_device(common.device);
  if (common.dtype == "float16") {
    options.dtype = torch::kFloat16; // to store in, not to compute in
  } else if (common.dtype != "auto") {
    options.dtype = parse_dtype(common.dtype, options.device);
  }
  if (flags.rank > 0) {
    options.rank = flags.rank;
  }
  if (flags.shard_gigabytes) {
    options.shard_bytes = static_cast<std::uint64_t>(*flags.shard_gigabytes * 1e9);
  }
  options.force = flags.force;
  options.progress = common.progress_callback(streams);
  return options;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

OrderedJson result_json(const ExportFlags& flags, const peft::ExportResult& result) {
  OrderedJson json;
  json["to"] = flags.to;
  json["out"] = flags.out;
  json["files"] = OrderedJson::array();
  for (const peft::ExportedFile& file : result.files) {
    json["files"].push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  json["modules"] = result.modules;
  if (flags.to == "merged") {
    json["changed_entries"] = result.changed_entries;
    json["rounded_back"] = share(result.rounded_back, result.changed_entries);
  }
  if (flags.rank > 0) {
    json["truncation_error"] = result.truncation_error;
  }
  json["self_check"] = {
      {"max_logprob_difference", result.self_check.max_difference},
      {"max_logprob_rounding", result.self_check.rounding},
      {"tolerance", result.self_check.tolerance},
      {"positions", result.self_check.positions}};
  return json;
}

void print_readable(std::ostream& out, const ExportFlags& flags, const peft::ExportResult& result) {
  out << "wrote " << flags.out << '\n';
  for (const peft::ExportedFile& file : result.files) {
    out << "  " << file.name << "  " << file.bytes << " bytes\n";
  }
  out << result.modules << " weight matrices changed";
  if (flags.to == "merged") {
    out << "; " << 100 * share(result.rounded_back, result.changed_entries)
        << " % of the changed entries rounded back to the base's value";
  }
  out << "\nself-check: log-probabilities differ by at most " << result.self_check.max_difference
      << " at " << result.self_check.positions << " positions (tolerance "
      << result.self_check.tolerance << ")\n";
  if (result.self_check.rounding > result.self_check.tolerance) {
    out << "the cast to the weights' dtype changes them by at most " << result.self_check.rounding
        << "; --dtype float32 keeps them\n";
  }
  if (flags.rank > 0) {
    out << "truncated to rank " << flags.rank << ": " << 100 * result.truncation_error
        << " % of the change was dropped (Frobenius norm)\n";
  }
}

peft::ExportResult export_to(
    const ExportFlags& flags, const ModelOptions& model, const peft::ExportOptions& options) {
  if (flags.to == "merged") {
    return peft::export_merged(
        model.model, {model.adapters.begin(), model.adapters.end()}, flags.out, options);
  }
  const std::string& adapter = model.adapters.front();
  if (flags.to == "gguf") {
    return peft::export_gguf(model.model, adapter, flags.out, options);
  }
  if (flags.to == "mlx") {
    return peft::export_mlx(model.model, adapter, flags.out, options);
  }
  return peft::export_peft(model.model, adapter, flags.out, options);
}

void run_export(
    const ExportFlags& flags,
    const ModelOptions& model,
    const CommonOptions& common,
    const Streams& streams) {
  ERRATA_CHECK(!model.adapters.empty(), ErrorCode::kInvalidArgument, "--adapter is missing");
  ERRATA_CHECK(
      flags.to == "merged" || model.adapters.size() == 1,
      ErrorCode::kInvalidArgument,
      "--to ",
      flags.to,
      " takes one --adapter, ",
      model.adapters.size(),
      " are given; use --to merged to add them up");
  ERRATA_CHECK(
      flags.to == "merged" || !flags.shard_gigabytes,
      ErrorCode::kInvalidArgument,
      "--shard-size goes with --to merged; --to ",
      flags.to,
      " writes one file of weights");
  ERRATA_CHECK(
      flags.to != "peft" || common.dtype == "auto" || common.dtype == "float32",
      ErrorCode::kInvalidArgument,
      "--to peft writes float32, as the adapter was trained; drop --dtype");
  ERRATA_CHECK(
      model.weights.empty() ||
          (flags.to == "merged" && model.weights.size() == model.adapters.size()),
      ErrorCode::kInvalidArgument,
      "--adapter-weight goes with --to merged, once for each --adapter");
  peft::ExportOptions options = export_options(flags, common, streams);
  options.weights = model.weights;
  const peft::ExportResult result = export_to(flags, model, options);
  if (common.json) {
    print_json(streams.out, result_json(flags, result));
  } else {
    print_readable(streams.out, flags, result);
  }
}

} // namespace

void add_export(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("export", "Hands an adapter to another program");
  const auto common = add_common(*command, {"float32", "bfloat16", "float16", "auto"});
  const auto model = add_model_options(*command);
  const auto flags = std::make_shared<ExportFlags>();
  command
      ->add_option(
          "--to",
          flags->to,
          "peft: adapter directory; gguf: adapter file for llama.cpp; mlx: adapter directory for "
          "mlx-lm; merged: whole model (HF)")
      ->required()
      ->check(CLI::IsMember({"peft", "merged", "gguf", "mlx"}));
  command->add_option("--out", flags->out, "Directory to write; with --to gguf also a .gguf file")
      ->required();
  command->add_option("--rank", flags->rank, "Truncate an exact difference to this rank")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{65536}));
  command
      ->add_option(
          "--shard-size",
          flags->shard_gigabytes,
          "--to merged: gigabytes a weight file (default 5)")
      ->check(CLI::Range(0.001, 1000.0));
  command->add_flag("--force", flags->force, "Replace an earlier export in --out");
  command->footer(
      "Without --dtype a merged model keeps its base's dtype, and adapters are written in "
      "float32.\n"
      "Examples:\n"
      "  errata export --model models/lab --adapter out/run/adapter --to merged --out out/merged\n"
      "  errata export --model models/lab --adapter out/run/adapter --to peft --out out/peft\n"
      "  errata export --model models/lab --adapter out/run/adapter --to gguf --out run.gguf");
  command->callback([=] { run_export(*flags, *model, *common, streams); });
}

} // namespace errata::cli
