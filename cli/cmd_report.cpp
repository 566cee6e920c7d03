#include "cli/command.h"
#include "cli/output.h"
#include "core/base/json.h"
#include "eval/report.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <ostream>

namespace errata::cli {

void add_report(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("report", "Makes report.html of a run directory again");
  command->footer("Example:\n  errata report out/quickstart");
  const auto common = add_common(*command);
  const auto directory = std::make_shared<std::string>();
  command->add_option("directory", *directory, "Run directory of edit-batch or eval")->required();
  command->callback([=] {
    const std::filesystem::path run = *directory;
    eval::write_report(run);
    const std::string report = (run / "report.html").string();
    if (common->json) {
      print_json(streams.out, OrderedJson{{"report", report}});
    } else {
      streams.out << report << '\n';
    }
  });
}

} // namespace errata::cli
