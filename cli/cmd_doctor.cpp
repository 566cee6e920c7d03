#include "cli/command.h"
#include "cli/doctor_checks.h"
#include "cli/output.h"
#include "core/base/json.h"

#include <CLI/CLI.hpp>

#include <ostream>

namespace errata::cli {
namespace {

struct DoctorOptions {
  std::string model;
  std::string store;
  std::vector<std::string> adapters;
};

// "  name  value" lines; objects are indented, lists of objects numbered.
void print_section(std::ostream& out, const OrderedJson& object, const std::string& indent) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object() || (value.is_array() && !value.empty() && value.front().is_object())) {
      out << indent << name << '\n';
      print_section(out, value, indent + "  ");
    } else if (!(value.is_array() && value.empty())) {
      out << indent << name << "  " << (value.is_string() ? value.get<std::string>() : value.dump())
          << '\n';
    }
  }
}

void doctor(const DoctorOptions& options, const CommonOptions& common, const Streams& streams) {
  OrderedJson result;
  result["versions"] = describe_versions();
  result["machine"] = describe_machine(common.device);
  if (!options.model.empty()) {
    result["model"] = check_model(options.model, options.adapters, common);
  }
  if (!options.store.empty()) {
    result["store"] = check_store(options.store);
  }
  // What is not sound has thrown.
  result["ok"] = true;
  if (common.json) {
    print_json(streams.out, result);
  } else {
    print_section(streams.out, result, "");
  }
}

} // namespace

void add_doctor(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Says what is installed and what the machine can do, and checks files");
  const auto common = add_common(*command);
  const auto options = std::make_shared<DoctorOptions>();
  CLI::Option* model =
      command->add_option("--model", options->model, "A model directory to load and try");
  command->add_option("--adapter", options->adapters, "Adapters to load onto the model")
      ->needs(model);
  command->add_option("--store", options->store, "An edit store to verify");
  command->footer(
      "Examples:\n"
      "  errata doctor\n"
      "  errata doctor --model models/lab --adapter out/run/adapter --store facts.db --json");
  command->callback([=] { doctor(*options, *common, streams); });
}

} // namespace errata::cli
