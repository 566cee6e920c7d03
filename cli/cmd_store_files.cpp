#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "datasets/factbook.h"
#include "editing/store/import.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <ostream>

namespace errata::cli {
namespace {

using editing::EditStore;
using editing::ImportReport;

OrderedJson statistics_json(const EditStore& store) {
  const editing::Statistics statistics = store.statistics();
  return {
      {"relations", statistics.relations},
      {"entities", statistics.entities},
      {"facts", statistics.facts},
      {"versions", statistics.versions},
      {"multi_hop", statistics.multi_hop},
      {"edits", statistics.edits},
      {"runs", statistics.runs},
      {"changes", statistics.changes}};
}

void init(const StoreCommand& command, const Streams& streams) {
  const EditStore store = EditStore::create(*command.store);
  if (command.common->json) {
    print_json(streams.out, {{"store", *command.store}});
  } else {
    streams.out << "made the empty store " << *command.store << '\n';
  }
}

struct ImportOptions {
  std::string format;
  std::string path;
  std::string relations;
  std::string set;
};

std::string require_path(const ImportOptions& options) {
  ERRATA_CHECK(
      !options.path.empty(),
      ErrorCode::kInvalidArgument,
      "--format ",
      options.format,
      " needs the path of a file");
  return options.path;
}

std::string set_name(const ImportOptions& options) {
  return options.set.empty() ? std::filesystem::path(options.path).stem().string() : options.set;
}

ImportReport run_import(
    EditStore& store, const ImportOptions& options, const ProgressCallback& progress) {
  if (options.format == "factbook") {
    return editing::import_factbook(
        store,
        options.path.empty() ? datasets::factbook_directory() : std::filesystem::path(options.path),
        progress);
  }
  const std::string path = require_path(options);
  if (options.format == "facts") {
    return editing::import_facts(store, path, options.relations, progress);
  }
  if (options.format == "relations") {
    return editing::import_relations(store, path);
  }
  if (options.format == "multihop") {
    return editing::import_multi_hop(store, path, set_name(options));
  }
  return editing::import_explicit_edits(store, path, set_name(options));
}

void import(const StoreCommand& command, const ImportOptions& options, const Streams& streams) {
  EditStore store = command.open();
  const ImportReport report =
      run_import(store, options, command.common->progress_callback(streams));
  if (command.common->json) {
    print_json(
        streams.out,
        {{"change", report.change == 0 ? OrderedJson(nullptr) : OrderedJson(report.change)},
         {"read", report.read},
         {"added", report.added},
         {"superseded", report.superseded},
         {"unchanged", report.unchanged},
         {"store", statistics_json(store)}});
    return;
  }
  streams.out << counted(report.read, "record") << " read: " << report.added << " new, "
              << report.superseded << " corrected, " << report.unchanged << " unchanged\n";
  streams.out
      << (report.change == 0 ? std::string("nothing to record\n")
                             : concat("recorded as change ", report.change, "\n"));
}

void verify(const StoreCommand& command, const Streams& streams) {
  const EditStore store = command.open();
  const std::vector<std::string> faults = store.verify();
  const std::string hash = store.content_hash();
  if (command.common->json) {
    print_json(
        streams.out,
        {{"ok", faults.empty()},
         {"faults", faults},
         {"content_sha256", hash},
         {"store", statistics_json(store)}});
  } else {
    for (const std::string& fault : faults) {
      streams.out << fault << '\n';
    }
    const OrderedJson statistics = statistics_json(store);
    for (const auto& [name, count] : statistics.items()) {
      streams.out << name << "  " << count.dump() << '\n';
    }
    streams.out << "content sha256  " << hash << '\n';
  }
  ERRATA_CHECK(
      faults.empty(),
      ErrorCode::kCorrupt,
      *command.store,
      ": ",
      counted(static_cast<long long>(faults.size()), "fault"),
      "; restore it from a dump");
}

void print_written(
    const StoreCommand& command,
    const std::string& path,
    const char* what,
    const Streams& streams) {
  if (command.common->json) {
    print_json(streams.out, {{what, path}, {"bytes", std::filesystem::file_size(path)}});
  } else {
    streams.out << "wrote " << path << " (" << std::filesystem::file_size(path) << " bytes)\n";
  }
}

void add_import(CLI::App& store, const Streams& streams) {
  const StoreCommand command =
      add_store_command(store, "import", "Takes in facts, cases or edits; all or nothing");
  const auto options = std::make_shared<ImportOptions>();
  command.app->add_option("--format", options->format, "What the file holds")
      ->check(CLI::IsMember({"factbook", "facts", "relations", "multihop", "edits"}))
      ->required();
  command.app->add_option(
      "path,--path", options->path, "File, or the Factbook's directory (default: the bundled one)");
  command.app->add_option(
      "--relations", options->relations, "With facts: a JSON object of the relations");
  command.app->add_option(
      "--set", options->set, "With multihop and edits: name of the set (default: the file's)");
  command.app->footer(
      "The same file a second time changes nothing.\n"
      "Examples:\n"
      "  errata store import --store facts.db --format factbook\n"
      "  errata store import --store facts.db --format facts own.jsonl --relations relations.json\n"
      "  errata store import --store facts.db --format edits edits.jsonl --set march");
  command.app->callback([=] { import(command, *options, streams); });
}

} // namespace

void add_store_files(CLI::App& store, const Streams& streams) {
  const StoreCommand make = add_store_command(store, "init", "Makes an empty store");
  make.app->footer("Example:\n  errata store init --store facts.db");
  make.app->callback([=] { init(make, streams); });

  add_import(store, streams);

  const StoreCommand check = add_store_command(store, "verify", "Checks every rule of the store");
  check.app->footer("Example:\n  errata store verify --store facts.db --json");
  check.app->callback([=] { verify(check, streams); });

  const StoreCommand dump =
      add_store_command(store, "dump", "Writes everything, history included, as JSON lines");
  const auto target = std::make_shared<std::string>();
  dump.app->add_option("path,--path,--out", *target, "The file to write")->required();
  dump.app->footer("Example:\n  errata store dump --store facts.db facts.jsonl");
  dump.app->callback([=] {
    dump.open().dump(*target);
    print_written(dump, *target, "dump", streams);
  });

  const StoreCommand restore = add_store_command(store, "restore", "Makes a store from a dump");
  const auto source = std::make_shared<std::string>();
  restore.app->add_option("path,--path,--from", *source, "The dump")->required();
  restore.app->footer("Example:\n  errata store restore --store copy.db facts.jsonl");
  restore.app->callback([=] {
    EditStore::restore(*source, *restore.store);
    print_written(restore, *restore.store, "store", streams);
  });
}

} // namespace errata::cli
