#include "cli/sweep.h"
#include "core/base/error.h"

#include <CLI/CLI.hpp>

#include <memory>

namespace errata::cli {

void add_sweep(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand(
      "sweep", "Compares settings of edit-batch: a table of rows, each with several seeds");
  command->footer(
      "Examples:\n"
      "  errata sweep --plan tests/bench/sweeps/default.json --model models/lab \\\n"
      "    --store world.db --out out/sweep          every run, and one table of them\n"
      "  errata sweep ... --only ft                  this row alone\n"
      "  errata sweep ... --dry-run                  the runs and which of them are done\n"
      "The same command again makes only what is missing; Ctrl-C keeps the state.\n"
      "The plan is described in docs/formats/sweep.md.");
  const auto options = std::make_shared<SweepOptions>();
  command->add_option("--plan", options->plan, "Rows, seeds and defaults (JSON)")->required();
  command->add_option("--out", options->out, "Directory of the runs and the table");
  for (const char* name : {"model", "store"}) {
    command->add_option_function<std::string>(
        concat("--", name),
        [options, name](const std::string& value) { options->given[name] = value; },
        "Instead of the plan's");
  }
  command->add_option("--only", options->only, "Rows to make and show; a grid by its name");
  command->add_flag("--dry-run", options->dry_run, "Check the plan, list its runs and stop");
  const auto common = add_common(*command);
  command->remove_option(command->get_option("--seed")); // the plan's
  command->callback([=] { sweep(*options, *common, streams); });
}

} // namespace errata::cli
