#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "datasets/exporters/export_format.h"
#include "editing/plan/peer_data.h"

#include <CLI/CLI.hpp>

#include <ostream>
#include <utility>

namespace errata::cli {
namespace {

using editing::EditStore;

struct ExportCommand {
  std::string format;
  std::string set;
  std::string from;
  std::string to;
  std::string out;
  datasets::ExportOptions options;
};

datasets::PeerData export_data(
    const EditStore& store, const ExportCommand& options, datasets::ExportReport& report) {
  const bool days = !options.from.empty() && !options.to.empty();
  ERRATA_CHECK(
      days != !options.set.empty() && options.from.empty() == options.to.empty(),
      ErrorCode::kInvalidArgument,
      "give --set NAME, or --from and --to: what to write");
  if (!days) {
    return editing::peer_data_of_set(store, options.set);
  }
  editing::PeerDifference difference = editing::peer_data_of_days(
      store, parse_date(options.from, "--from"), parse_date(options.to, "--to"));
  for (const std::string& id : difference.removals) {
    report.leave_out(id, "it is a removal: it has no new answer");
  }
  return std::move(difference.data);
}

void export_peer(
    const StoreCommand& command, const ExportCommand& options, const Streams& streams) {
  ERRATA_CHECK(
      options.options.zsre_target == "alt" || options.format == "zsre",
      ErrorCode::kInvalidArgument,
      "--zsre-target goes with --format zsre, not with ",
      options.format);
  const datasets::ExportFormat& format = datasets::export_format(options.format);
  const EditStore store = command.open();
  datasets::ExportReport report;
  const datasets::PeerData data = export_data(store, options, report);
  format.write(data, options.options, options.out, report);
  if (command.common->json) {
    print_json(
        streams.out,
        {{"out", options.out},
         {"format", options.format},
         {"written", report.written},
         {"left_out", {{"count", report.left_out}, {"first", report.first_left_out}}},
         {"sha256", sha256_file(options.out)}});
    return;
  }
  streams.out << "wrote " << counted(report.written, "record") << " to " << options.out << '\n';
  print_reasons(
      streams.out, report.left_out, "left out", report.first_left_out, "--json lists twenty");
}

std::string export_help() {
  std::string text =
      "Writes a set, or what differs between two days, for other editing programs.\n\nFormats:\n";
  for (const datasets::ExportFormat& format : datasets::export_formats()) {
    text +=
        concat("  ", format.name, std::string(18 - format.name.size(), ' '), format.readers, '\n');
  }
  return text +
         "Examples:\n"
         "  errata store export --store facts.db --set MQuAKE-CF-3k --format mquake --out m.json\n"
         "  errata store export --store facts.db --from 2021-01-31 --to 2026-01-22 \\\n"
         "    --format counterfact --out changes.json";
}

} // namespace

void add_store_export(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(
      store, "export", "Writes edits and cases for MEMIT, EasyEdit and other programs");
  const auto options = std::make_shared<ExportCommand>();
  command.app->add_option("--format", options->format, "See below")
      ->check(CLI::IsMember(datasets::export_format_names()))
      ->required();
  command.app->add_option("--set", options->set, "A set of the store");
  command.app->add_option("--from", options->from, "Or what differs between this day");
  command.app->add_option("--to", options->to, "and this one");
  command.app->add_option("--out", options->out, "The file to write")->required();
  command.app
      ->add_option(
          "--zsre-target",
          options->options.zsre_target,
          "zsre: what 'answers' holds: the former answer (alt, for EasyEdit) or the new one "
          "(answers, for ROME and MEMIT, which edit towards it)")
      ->check(CLI::IsMember({"alt", "answers"}))
      ->capture_default_str();
  command.app->footer(export_help());
  command.app->callback([=] { export_peer(command, *options, streams); });
}

} // namespace errata::cli
