#include "cli/command.h"
#include "cli/output.h"
#include "core/base/json.h"
#include "core/model.h"
#include "peft/adapter.h"

#include <CLI/CLI.hpp>

#include <map>
#include <ostream>

namespace errata::cli {
namespace {

struct ModulesOptions {
  std::string model;
  std::vector<std::string> targets;
  std::string regex;
  std::vector<std::string> exclude;
  std::string layers;
  std::int64_t rank = 8;
};

peft::AdapterConfig selection(const ModulesOptions& options, std::int64_t num_layers) {
  peft::AdapterConfig config;
  config.r = options.rank;
  config.target_modules = options.targets;
  if (!options.regex.empty()) {
    config.target_regex = options.regex;
  }
  if (options.targets == std::vector<std::string>{"all-linear"}) {
    config.target_modules.clear();
    config.target_regex = "all-linear";
  }
  config.exclude_modules = options.exclude;
  if (!options.layers.empty()) {
    config.layers_to_transform = peft::parse_layers(options.layers, num_layers);
  }
  return config;
}

OrderedJson result_json(
    const Decoder& decoder, const std::vector<std::string>& names, std::int64_t rank) {
  std::map<std::string, Adaptable> targets;
  for (const auto& [name, target] : decoder->adaptables()) {
    targets.emplace(name, target);
  }
  OrderedJson modules = OrderedJson::array();
  std::int64_t total = 0;
  for (const std::string& name : names) {
    const torch::Tensor& weight = targets.at(name)->weight;
    const std::int64_t trainable = rank * (weight.size(0) + weight.size(1));
    total += trainable;
    modules.push_back(
        {{"name", name},
         {"shape", {weight.size(0), weight.size(1)}},
         {"trainable_parameters", trainable}});
  }
  OrderedJson result;
  result["modules"] = modules;
  result["count"] = names.size();
  result["rank"] = rank;
  result["trainable_parameters"] = total;
  return result;
}

void print_readable(std::ostream& out, const OrderedJson& result) {
  for (const OrderedJson& module : result["modules"]) {
    out << module["name"].get<std::string>() << "  " << module["shape"].dump() << "  "
        << module["trainable_parameters"] << '\n';
  }
  out << result["count"] << " modules, " << result["trainable_parameters"]
      << " trainable parameters at rank " << result["rank"] << '\n';
}

void modules(const ModulesOptions& options, const CommonOptions& common, const Streams& streams) {
  // The config says all that is asked for: no weight is read and none allocated.
  const DecoderConfig config = load_decoder_config(options.model);
  const Decoder decoder(config, torch::TensorOptions().device(torch::kMeta));
  const std::vector<std::string> names =
      peft::match_targets(decoder, selection(options, config.num_layers()));
  const OrderedJson result = result_json(decoder, names, options.rank);
  if (common.json) {
    print_json(streams.out, result);
  } else {
    print_readable(streams.out, result);
  }
}

} // namespace

void add_modules(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("modules", "Shows what a target selection matches");
  const auto common = add_common(*command);
  const auto options = std::make_shared<ModulesOptions>();
  command->add_option("--model", options->model, "Model directory in Hugging Face layout")
      ->required();
  CLI::Option* targets = command->add_option(
      "--target-modules",
      options->targets,
      "Ends of module paths (q_proj mlp.down_proj embed_tokens lm_head), or all-linear");
  targets->delimiter(',');
  command->add_option("--target-regex", options->regex, "Instead: must match the whole path")
      ->excludes(targets);
  command->add_option("--exclude-modules", options->exclude, "Ends of module paths to leave out")
      ->delimiter(',');
  command->add_option("--layers", options->layers, "Layers: 3-7,-1 (-1 is the last)");
  command->add_option("--rank", options->rank, "LoRA rank, for the count of parameters")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  errata modules --model models/lab --target-modules down_proj --layers -1\n"
      "  errata modules --model models/lab --target-modules q_proj v_proj --rank 16 --json");
  command->callback([=] { modules(*options, *common, streams); });
}

} // namespace errata::cli
