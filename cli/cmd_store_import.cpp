#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/importers/import_format.h"
#include "editing/store/import.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>
#include <ostream>
#include <set>
#include <utility>

namespace errata::cli {
namespace {

using editing::EditStore;
using editing::ImportReport;

struct ImportCommand {
  editing::ImportRequest request;
  std::string path;
  std::string relations;
  std::string entities;
  std::string mapping;
  std::string skipped; ///< file for everything that was left out
};

OrderedJson set_conflicts_json(const std::vector<editing::SetConflict>& conflicts) {
  OrderedJson list = OrderedJson::array();
  for (const editing::SetConflict& conflict : conflicts) {
    list.push_back(
        {{"subject", conflict.subject},
         {"relation", conflict.relation},
         {"edit", conflict.edit},
         {"target", conflict.target},
         {conflict.with_case ? "case" : "other_edit", conflict.other},
         {"needs", conflict.needs}});
  }
  return list;
}

std::size_t conflicting_cases(const std::vector<editing::SetConflict>& conflicts) {
  std::set<std::string> cases;
  for (const editing::SetConflict& conflict : conflicts) {
    if (conflict.with_case) {
      cases.insert(conflict.other);
    }
  }
  return cases.size();
}

OrderedJson import_json(const ImportReport& report, bool dry_run) {
  return {
      {"change", report.change == 0 ? OrderedJson(nullptr) : OrderedJson(report.change)},
      {"dry_run", dry_run},
      {"read", report.read},
      {"added", report.added},
      {"superseded", report.superseded},
      {"unchanged", report.unchanged},
      {"relations", report.relations},
      {"entities", report.entities},
      {"facts", report.facts},
      {"edits", report.edits},
      {"multi_hop", report.multi_hop},
      {"set", report.edits + report.multi_hop > 0 ? OrderedJson(report.set) : OrderedJson(nullptr)},
      {"skipped", {{"count", report.skipped}, {"first", report.first_skipped}}},
      {"remarks", {{"count", report.remarks}, {"first", report.first_remarks}}},
      {"conflicts",
       {{"count", report.conflicts.size()},
        {"cases", conflicting_cases(report.conflicts)},
        {"all", set_conflicts_json(report.conflicts)}}}};
}

void print_set_conflicts(std::ostream& out, const std::vector<editing::SetConflict>& conflicts) {
  constexpr std::size_t kShown = 5;
  if (conflicts.empty()) {
    return;
  }
  out << counted(static_cast<long long>(conflicts.size()), "conflict")
      << " in the set once all its edits are made, in "
      << counted(static_cast<long long>(conflicting_cases(conflicts)), "case") << ":\n";
  for (std::size_t i = 0; i < std::min(conflicts.size(), kShown); ++i) {
    const editing::SetConflict& conflict = conflicts[i];
    out << "  " << conflict.subject << ", " << conflict.relation << ": edit " << conflict.edit
        << " writes '" << conflict.target << "', " << (conflict.with_case ? "case " : "edit ")
        << conflict.other << " needs '" << conflict.needs << "'\n";
  }
  if (conflicts.size() > kShown) {
    out << "  and " << conflicts.size() - kShown << " more; --json lists all of them\n";
  }
}

void print_import(std::ostream& out, const ImportReport& report, bool dry_run) {
  out << counted(report.read, "record") << " read: " << report.added << " new, "
      << report.superseded << " corrected, " << report.unchanged << " unchanged\n";
  const std::pair<const char*, std::int64_t> kinds[] = {
      {"relation", report.relations},
      {"entity", report.entities},
      {"fact", report.facts},
      {"edit", report.edits},
      {"multi-hop case", report.multi_hop}};
  for (const auto& [name, count] : kinds) {
    if (count > 0) {
      out << "  " << counted(count, name) << '\n';
    }
  }
  const std::string all = "--skipped FILE writes all of them";
  print_reasons(out, report.skipped, "left out", report.first_skipped, all);
  print_reasons(out, report.remarks, "with a remark", report.first_remarks, all);
  print_set_conflicts(out, report.conflicts);
  if (report.edits + report.multi_hop > 0) {
    out << "set " << report.set << '\n';
  }
  out
      << (dry_run              ? std::string("dry run: the store is unchanged\n")
          : report.change == 0 ? std::string("nothing to record\n")
                               : concat("recorded as change ", report.change, "\n"));
}

// An option that would be passed over is a mistake.
void require_fitting(const ImportCommand& options) {
  const std::string& format = options.request.format;
  const auto require = [&](bool fits, const char* option, const char* formats) {
    ERRATA_CHECK(
        fits,
        ErrorCode::kInvalidArgument,
        option,
        " goes with --format ",
        formats,
        ", not with ",
        format);
  };
  require(options.mapping.empty() || format == "table", "--mapping", "table");
  require(options.entities.empty() || format == "yago11k", "--entities", "yago11k");
  require(
      options.relations.empty() || format == "facts" || format == "yago11k",
      "--relations",
      "facts and yago11k");
  require(
      options.request.options.zsre_target == "alt" || format == "zsre", "--zsre-target", "zsre");
}

void run_import(const StoreCommand& command, const ImportCommand& options, const Streams& streams) {
  require_fitting(options);
  EditStore store = command.open();
  editing::ImportRequest request = options.request;
  request.options.path = options.path;
  request.options.relations = options.relations;
  request.options.entities = options.entities;
  request.options.mapping = options.mapping;
  std::optional<AtomicFile> left_out;
  if (!options.skipped.empty()) {
    left_out.emplace(options.skipped);
    request.note = [&](std::string_view kind, const std::string& reason) {
      left_out->write(OrderedJson{{"kind", kind}, {"reason", reason}}.dump() + '\n');
    };
  }
  const ImportReport report =
      editing::import_file(store, request, command.common->progress_callback(streams));
  if (left_out) {
    left_out->commit();
  }
  if (command.common->json) {
    OrderedJson json = import_json(report, request.dry_run);
    json["store"] = statistics_json(store);
    print_json(streams.out, json);
  } else {
    print_import(streams.out, report, request.dry_run);
  }
}

std::string import_help() {
  std::string text =
      "The same file a second time changes nothing. Records that cannot be taken are listed with\n"
      "file and line; a file of errata's own formats is refused whole instead.\n\nFormats:\n";
  for (const datasets::ImportFormat& format : datasets::import_formats()) {
    text += concat(
        "  ",
        format.name,
        std::string(format.name.size() < 13 ? 13 - format.name.size() : 1, ' '),
        format.holds,
        " (",
        format.documents,
        ")\n");
  }
  return text +
         "Examples:\n"
         "  errata store import --store facts.db --format factbook\n"
         "  errata store import --store facts.db --format facts own.jsonl --relations r.json\n"
         "  errata store import --store facts.db --format mquake MQuAKE-CF-3k.json --dry-run\n"
         "  errata store import --store facts.db --format zsre zsre.json --zsre-target answers\n"
         "  errata store import --store facts.db --format table mayors.csv --mapping mayors.json";
}

} // namespace

void add_store_import(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(
      store, "import", "Takes in facts, edits and cases of one's own or of the field's data sets");
  const auto options = std::make_shared<ImportCommand>();
  command.app->add_option("--format", options->request.format, "What the file holds; see below")
      ->check(CLI::IsMember(datasets::import_format_names()))
      ->required();
  command.app->add_option(
      "path,--path", options->path, "File, or the Factbook's directory (default: the bundled one)");
  command.app->add_option(
      "--relations",
      options->relations,
      "facts: a JSON object of the relations; yago11k: relation2id.txt");
  command.app->add_option("--entities", options->entities, "yago11k: entity2id.txt");
  command.app->add_option("--mapping", options->mapping, "table: what the columns mean");
  command.app
      ->add_option(
          "--zsre-target",
          options->request.options.zsre_target,
          "zsre: edit towards alt (as EasyEdit) or towards answers (as ROME and MEMIT)")
      ->check(CLI::IsMember({"alt", "answers"}))
      ->capture_default_str();
  command.app->add_option(
      "--set", options->request.set, "Name of the set of edits and cases (default: the file's)");
  command.app->add_flag(
      "--dry-run", options->request.dry_run, "Read, check and report; record nothing");
  command.app->add_option(
      "--skipped", options->skipped, "File for every record left out and every remark, JSON lines");
  command.app->footer(import_help());
  command.app->callback([=] { run_import(command, *options, streams); });
}

} // namespace errata::cli
