#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <ostream>

namespace errata::cli {

using editing::EditStore;

namespace {

void init(const StoreCommand& command, const Streams& streams) {
  const EditStore store = EditStore::create(*command.store);
  if (command.common->json) {
    print_json(streams.out, {{"store", *command.store}});
  } else {
    streams.out << "made the empty store " << *command.store << '\n';
  }
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

} // namespace

void add_store_files(CLI::App& store, const Streams& streams) {
  const StoreCommand make = add_store_command(store, "init", "Makes an empty store");
  make.app->footer("Example:\n  errata store init --store facts.db");
  make.app->callback([=] { init(make, streams); });

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
