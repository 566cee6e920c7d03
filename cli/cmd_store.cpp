#include "cli/command.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <ostream>

namespace errata::cli {

StoreCommand add_store_command(
    CLI::App& store, const std::string& name, const std::string& description) {
  StoreCommand command;
  command.app = store.add_subcommand(name, description);
  command.common = add_common(*command.app);
  command.store = std::make_shared<std::string>();
  command.app->add_option("--store", *command.store, "The store's file")->required();
  return command;
}

std::optional<std::int64_t> known_change(
    const editing::EditStore& store, const std::string& recorded) {
  if (recorded.empty()) {
    return std::nullopt;
  }
  // A year alone would be four digits as well; changes are the commoner thing to name.
  const bool number = recorded.find_first_not_of("0123456789") == std::string::npos;
  if (!number) {
    return store.change_at(recorded);
  }
  std::int64_t change = 0;
  const auto [end, error] =
      std::from_chars(recorded.data(), recorded.data() + recorded.size(), change);
  ERRATA_CHECK(
      error == std::errc{},
      ErrorCode::kInvalidArgument,
      "'",
      recorded,
      "' is not the number of a change");
  return change;
}

OrderedJson statistics_json(const editing::EditStore& store) {
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

Range split_range(const std::string& text) {
  const auto dots = text.find("..");
  return dots == std::string::npos ? Range{text, std::nullopt}
                                   : Range{text.substr(0, dots), text.substr(dots + 2)};
}

std::optional<Date> optional_date(const std::string& text, const std::string& option) {
  return text.empty() ? std::nullopt : std::optional(parse_date(text, option));
}

std::string date_cell(const std::optional<Date>& date) {
  return date ? to_string(*date) : "-";
}

TextTable fact_table() {
  return TextTable({"subject", "relation", "object", "from", "to", "source"});
}

void add_row(TextTable& table, const datasets::Fact& fact) {
  table.add(
      {fact.subject,
       fact.relation,
       fact.object + (fact.provisional ? " (acting)" : ""),
       date_cell(fact.valid_from),
       date_cell(fact.valid_to),
       fact.source});
}

void print_reasons(
    std::ostream& out,
    std::int64_t count,
    const std::string& what,
    const std::vector<std::string>& reasons,
    const std::string& all) {
  constexpr std::size_t kShown = 5;
  if (count == 0) {
    return;
  }
  out << counted(count, "record") << ' ' << what << ":\n";
  for (std::size_t i = 0; i < std::min(reasons.size(), kShown); ++i) {
    out << "  " << reasons[i] << '\n';
  }
  if (count > static_cast<std::int64_t>(kShown)) {
    out << "  and " << count - static_cast<std::int64_t>(kShown) << " more; " << all << '\n';
  }
}

void add_store(CLI::App& app, const Streams& streams) {
  CLI::App* store = app.add_subcommand(
      "store",
      "The edit store: facts with dates, like a version "
      "control for knowledge");
  store->require_subcommand(1);
  store->footer(
      "Examples:\n"
      "  errata store init --store facts.db\n"
      "  errata store import --store facts.db --format factbook\n"
      "  errata store add --store facts.db Kazakhstan capital Astana --from 2022-09-17\n"
      "  errata store diff --store facts.db 2021-01-31..2026-01-22\n"
      "Each subcommand has its own --help.");
  add_store_files(*store, streams);
  add_store_import(*store, streams);
  add_store_export(*store, streams);
  add_store_facts(*store, streams);
  add_store_query(*store, streams);
  add_store_diff(*store, streams);
  add_store_history(*store, streams);
  add_store_runs(*store, streams);
  add_store_multihop(*store, streams);
}

} // namespace errata::cli
