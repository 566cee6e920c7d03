#pragma once

#include "cli/command.h"
#include "editing/store/edit_store.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The subcommands of `errata store`, and what they share.

namespace errata::cli {

class TextTable;

/// --store FILE and the common options of one subcommand.
struct StoreCommand {
  CLI::App* app;
  std::shared_ptr<CommonOptions> common;
  std::shared_ptr<std::string> store;

  editing::EditStore open() const { return editing::EditStore::open(*store); }
};

StoreCommand add_store_command(
    CLI::App& store, const std::string& name, const std::string& description);

/// A day to look at, and what the store knew then: --recorded N (change) or TIME.
std::optional<std::int64_t> known_change(
    const editing::EditStore& store, const std::string& recorded);

/// FROM..TO; the second is missing where only one thing was named.
struct Range {
  std::string from;
  std::optional<std::string> to;
};
Range split_range(const std::string& text);

/// The date, or nothing for an empty text.
std::optional<Date> optional_date(const std::string& text, const std::string& option);

/// "2021-03", or "-" for an open bound.
std::string date_cell(const std::optional<Date>& date);

/// Columns subject, relation, object, from, to, source; acting holders are marked.
TextTable fact_table();
void add_row(TextTable& table, const datasets::Fact& fact);

/// Counts of everything in the store.
nlohmann::ordered_json statistics_json(const editing::EditStore& store);

/// "12 records left out:" and the first reasons.
void print_reasons(
    std::ostream& out,
    std::int64_t count,
    const std::string& what,
    const std::vector<std::string>& reasons,
    const std::string& all);

void add_store_files(CLI::App& store, const Streams& streams);   ///< init verify dump restore
void add_store_import(CLI::App& store, const Streams& streams);  ///< import
void add_store_export(CLI::App& store, const Streams& streams);  ///< export
void add_store_facts(CLI::App& store, const Streams& streams);   ///< add retract show as-of
void add_store_history(CLI::App& store, const Streams& streams); ///< log conflicts
void add_store_diff(CLI::App& store, const Streams& streams);
void add_store_query(CLI::App& store, const Streams& streams);
void add_store_runs(CLI::App& store, const Streams& streams); ///< runs blame
void add_store_multihop(CLI::App& store, const Streams& streams);

} // namespace errata::cli
