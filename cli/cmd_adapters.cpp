#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/device.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"
#include "peft/adapter_source.h"
#include "peft/combine.h"
#include "peft/export_target.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

std::string four_digits(double value) {
  std::ostringstream text;
  text << std::setprecision(4) << value;
  return std::move(text).str();
}

// ---- list

// The adapters at or below `path`, a run directory or a folder of runs.
void find_adapters(const fs::path& path, int depth, std::vector<fs::path>& found) {
  if (fs::is_regular_file(path) || fs::exists(path / peft::kConfigFile)) {
    found.push_back(path);
    return;
  }
  constexpr int kDeepest = 4;
  if (depth == kDeepest) {
    return;
  }
  std::vector<fs::path> below;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_directory() || entry.path().extension() == ".gguf") {
      below.push_back(entry.path());
    }
  }
  std::sort(below.begin(), below.end());
  for (const fs::path& directory : below) {
    find_adapters(directory, depth + 1, found);
  }
}

OrderedJson with_provenance(OrderedJson json, const peft::AdapterSource& source) {
  for (const auto& [key, value] : peft::adapter_metadata(source)) {
    json["provenance"][key.substr(std::string_view("errata.").size())] = value;
  }
  return json;
}

const char* foreign_type(peft::AdapterKind kind) {
  return kind == peft::AdapterKind::kGguf  ? "GGUF"
         : kind == peft::AdapterKind::kMlx ? "MLX"
                                           : "adapter-hub";
}

OrderedJson describe_adapter(const fs::path& directory) {
  const peft::AdapterSource source = peft::find_adapter(directory);
  if (source.kind != peft::AdapterKind::kDirectory) {
    return with_provenance(
        {{"directory", directory.string()},
         {"type", foreign_type(source.kind)},
         {"rank", nullptr},
         {"tensors", nullptr},
         {"numbers", nullptr},
         {"bytes", fs::file_size(source.tensors)}},
        source);
  }
  const peft::AdapterConfig config = peft::read_adapter_config(directory / peft::kConfigFile);
  const SafetensorsFile file(directory / peft::kTensorFile);
  std::int64_t numbers = 0;
  std::int64_t rank = 0;
  for (const std::string& name : file.names()) {
    const auto shape = file.shape(name);
    std::int64_t size = 1;
    for (const std::int64_t length : shape) {
      size *= length;
    }
    numbers += size;
    if (name.find(".lora_A") != std::string::npos) {
      rank = std::max(rank, shape.front());
    }
  }
  OrderedJson json;
  json["directory"] = directory.string();
  json["type"] = config.use_dora ? "LORA (DoRA)" : config.peft_type;
  json["rank"] = rank > 0 ? OrderedJson(rank) : OrderedJson(nullptr);
  json["tensors"] = file.names().size();
  json["numbers"] = numbers;
  json["bytes"] = fs::file_size(directory / peft::kTensorFile);
  return with_provenance(std::move(json), source);
}

void list_adapters(
    const std::vector<std::string>& paths, const CommonOptions& common, const Streams& streams) {
  OrderedJson all = OrderedJson::array();
  for (const std::string& path : paths) {
    ERRATA_CHECK(fs::exists(path), ErrorCode::kNotFound, path, " does not exist");
    std::vector<fs::path> found;
    find_adapters(path, 0, found);
    ERRATA_CHECK(
        !found.empty(),
        ErrorCode::kNotFound,
        "no ",
        peft::kConfigFile,
        " and no .gguf file at or below ",
        path);
    for (const fs::path& directory : found) {
      try {
        all.push_back(describe_adapter(directory));
      } catch (const Error& error) {
        if (directory == path) {
          throw;
        }
        log(LogLevel::kWarning, error.what()); // the others are worth listing all the same
      }
    }
  }
  if (common.json) {
    print_json(streams.out, {{"adapters", all}});
    return;
  }
  TextTable table({"adapter", "type", "rank", "numbers", "method", "as of"});
  for (const OrderedJson& adapter : all) {
    const OrderedJson& from = adapter.value("provenance", OrderedJson::object());
    table.add(
        {adapter["directory"],
         adapter["type"],
         adapter["rank"].is_null() ? "-" : adapter["rank"].dump(),
         adapter["numbers"].is_null() ? "-" : adapter["numbers"].dump(),
         from.value("method", "-"),
         from.value("as_of", "-")});
  }
  table.print(streams.out);
}

// ---- combine

struct CombineFlags {
  peft::CombineOptions options;
  std::string out;
  bool force = false;
};

// An option that would be passed over is a mistake.
void check_combination(const peft::CombineOptions& options, bool density_given) {
  const peft::Combination& how = peft::combination(options.combination);
  const auto require = [&](bool fits, const char* option, const char* kinds) {
    ERRATA_CHECK(
        fits,
        ErrorCode::kInvalidArgument,
        option,
        " goes with ",
        kinds,
        " of --how, not with ",
        how.name);
  };
  require(
      options.rank == 0 || how.of == peft::Combination::Of::kChanges, "--rank", "the svd kinds");
  require(!density_given || how.rule != peft::MergeRule::kSum, "--density", "the kinds that prune");
  const bool ties = how.rule == peft::MergeRule::kTies || how.rule == peft::MergeRule::kDareTies;
  require(!options.count_signs || ties, "--count-signs", "the ties kinds");
}

// Several adapters may lie on one module only while they are switched off.
AdaptedModel load_switched_off(const ModelOptions& options, const CommonOptions& common) {
  LoadOptions load;
  load.device = parse_device(common.device);
  load.dtype = torch::kFloat32;
  load.hash = false;
  AdaptedModel adapted;
  adapted.model = load_model(options.model, load);
  attach_adapters(adapted, options, /*enabled=*/false);
  return adapted;
}

void combine(
    CombineFlags flags,
    const ModelOptions& model,
    const CommonOptions& common,
    const Streams& streams) {
  ERRATA_CHECK(!model.adapters.empty(), ErrorCode::kInvalidArgument, "--adapter is missing");
  peft::check_export_target(flags.out, {model.adapters.begin(), model.adapters.end()}, flags.force);
  flags.options.weights = model.weights;
  flags.options.seed = common.seed;
  ModelOptions plain = model;
  plain.weights.clear();
  AdaptedModel adapted = load_switched_off(plain, common);
  std::vector<const peft::Adapter*> parts;
  for (const auto& adapter : adapted.adapters) {
    parts.push_back(adapter.get());
  }
  const auto combined = peft::combine_adapters(adapted.model.decoder, parts, flags.options);
  std::string sources;
  for (const std::string& directory : model.adapters) {
    sources += (sources.empty() ? "" : ", ") + fs::path(directory).filename().string();
  }
  peft::save_adapter(
      *combined,
      flags.out,
      {{"errata.method", flags.options.combination}, {"errata.combined", sources}});
  const OrderedJson result = describe_adapter(flags.out);
  if (common.json) {
    print_json(streams.out, result);
  } else {
    streams.out << "wrote " << flags.out << ": " << combined->modules().size()
                << " modules, rank up to " << result["rank"] << '\n';
  }
}

std::string combination_help() {
  std::string text = "How:";
  for (const peft::Combination& one : peft::combinations()) {
    text += concat("\n    ", one.name, ": ", one.description);
  }
  return text;
}

// ---- diff

OrderedJson difference_json(const peft::ModuleDifference& difference) {
  return {
      {"module", difference.module},
      {"first_norm", difference.first},
      {"second_norm", difference.second},
      {"difference_norm", difference.difference},
      {"cosine", difference.cosine}};
}

void diff(const ModelOptions& model, const CommonOptions& common, const Streams& streams) {
  ERRATA_CHECK(
      model.adapters.size() == 2,
      ErrorCode::kInvalidArgument,
      "adapters diff compares two adapters; ",
      model.adapters.size(),
      " are given with --adapter");
  AdaptedModel adapted = load_switched_off(model, common);
  const auto differences =
      peft::compare_adapters(adapted.model.decoder, *adapted.adapters[0], *adapted.adapters[1]);
  if (common.json) {
    OrderedJson modules = OrderedJson::array();
    for (std::size_t i = 0; i + 1 < differences.size(); ++i) {
      modules.push_back(difference_json(differences[i]));
    }
    OrderedJson all = difference_json(differences.back());
    all.erase("module");
    print_json(streams.out, {{"modules", modules}, {"all", all}});
    return;
  }
  TextTable table({"module", "|first|", "|second|", "|first - second|", "cosine"});
  for (const peft::ModuleDifference& one : differences) {
    table.add(
        {one.module,
         four_digits(one.first),
         four_digits(one.second),
         four_digits(one.difference),
         four_digits(one.cosine)});
  }
  table.print(streams.out);
}

void add_list(CLI::App& parent, const Streams& streams) {
  CLI::App* command = parent.add_subcommand("list", "What adapters are, and where they come from");
  const auto common = add_common(*command);
  const auto paths = std::make_shared<std::vector<std::string>>();
  command->add_option("paths", *paths, "Adapter or run directories, or folders of them")
      ->required();
  command->footer("Example:\n  errata adapters list out");
  command->callback([=] { list_adapters(*paths, *common, streams); });
}

void add_combine(CLI::App& parent, const Streams& streams) {
  CLI::App* command = parent.add_subcommand("combine", "Makes one LoRA of several adapters");
  const auto common = add_common(*command);
  const auto model = add_model_options(*command);
  const auto flags = std::make_shared<CombineFlags>();
  command->add_option("--out", flags->out, "Adapter directory to write")->required();
  command->add_option("--how", flags->options.combination, combination_help())
      ->capture_default_str();
  command->add_option("--rank", flags->options.rank, "Of the svd kinds (default: the largest)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{65536}));
  const CLI::Option* density =
      command
          ->add_option("--density", flags->options.density, "Share of entries that pruning leaves")
          ->capture_default_str();
  command->add_flag("--force", flags->force, "Replace an adapter that is there already");
  command->add_flag(
      "--count-signs", flags->options.count_signs, "TIES: a majority of entries, not of their sum");
  command->footer(
      "Examples:\n"
      "  errata adapters combine --model models/lab --adapter out/a/adapter --adapter "
      "out/b/adapter --out out/both\n"
      "  errata adapters combine --model models/lab --adapter a --adapter b --adapter-weight 1 0.5 "
      "--how ties_svd --density 0.3 --out c");
  command->callback([=] {
    check_combination(flags->options, density->count() > 0);
    combine(*flags, *model, *common, streams);
  });
}

void add_diff(CLI::App& parent, const Streams& streams) {
  CLI::App* command =
      parent.add_subcommand("diff", "Norms of two adapters' changes and the angle between them");
  const auto common = add_common(*command);
  const auto model = add_model_options(*command);
  command->footer(
      "Example:\n  errata adapters diff --model models/lab --adapter out/a/adapter --adapter "
      "out/b/adapter");
  command->callback([=] { diff(*model, *common, streams); });
}

} // namespace

void add_adapters(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("adapters", "Lists, combines and compares adapters");
  command->require_subcommand(1);
  add_list(*command, streams);
  add_combine(*command, streams);
  add_diff(*command, streams);
}

} // namespace errata::cli
