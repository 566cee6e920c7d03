#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/store/record_json.h"

#include <CLI/CLI.hpp>

#include <ostream>

namespace errata::cli {
namespace {

using editing::EditStore;
using editing::FactQuery;
using editing::StoredFact;

struct QueryOptions {
  std::string text;
  std::string subject;
  std::string relation;
  std::string object;
  std::string on;
  std::string during;
  std::string recorded;
  std::string source;
  bool acting = false;
  bool versions = false;
  bool count = false;
  std::size_t limit = 0;
};

void set_days(const QueryOptions& options, FactQuery& query) {
  query.day = optional_date(options.on, "--on");
  if (options.during.empty()) {
    return;
  }
  const Range days = split_range(options.during);
  ERRATA_CHECK(
      days.to,
      ErrorCode::kInvalidArgument,
      "--during '",
      options.during,
      "' is not in the form FROM..TO; either may be left out");
  query.from = optional_date(days.from, "the first day of --during");
  query.to = optional_date(*days.to, "the second day of --during");
  ERRATA_CHECK(
      !query.from || !query.to || to_days(*query.from) <= to_days(*query.to),
      ErrorCode::kInvalidArgument,
      "--during ",
      options.during,
      " goes back in time; swap the days");
}

FactQuery make_query(const EditStore& store, const QueryOptions& options) {
  FactQuery query;
  set_days(options, query);
  ERRATA_CHECK(
      !options.versions || options.recorded.empty(),
      ErrorCode::kInvalidArgument,
      "--versions shows every version and --recorded one state of the record; give one of them");
  query.known = known_change(store, options.recorded);
  query.superseded = options.versions;
  query.limit = options.limit;
  if (!options.relation.empty()) {
    query.relation = store.relation(options.relation).name;
  }
  if (!options.subject.empty()) {
    query.subject = store.resolve(options.subject);
  }
  if (!options.object.empty()) {
    query.object = store.resolve(options.object);
  }
  query.text = options.text.empty() ? std::nullopt : std::optional(options.text);
  query.source = options.source.empty() ? std::nullopt : std::optional(options.source);
  query.provisional = options.acting ? std::optional(true) : std::nullopt;
  return query;
}

std::string record_cell(const StoredFact& stored) {
  if (stored.superseded == 0) {
    return concat(stored.recorded);
  }
  return concat(
      stored.recorded,
      stored.superseded_by == 0 ? ", withdrawn in " : ", replaced in ",
      stored.superseded);
}

void print(
    const StoreCommand& command,
    const QueryOptions& options,
    const std::vector<StoredFact>& facts,
    const Streams& streams) {
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const StoredFact& fact : facts) {
      list.push_back(editing::to_json(fact));
    }
    print_json(streams.out, {{"count", facts.size()}, {"facts", list}});
    return;
  }
  TextTable table({"subject", "relation", "object", "from", "to", "change", "source"});
  for (const StoredFact& stored : facts) {
    table.add(
        {stored.fact.subject,
         stored.fact.relation,
         stored.fact.object + (stored.fact.provisional ? " (acting)" : ""),
         date_cell(stored.fact.valid_from),
         date_cell(stored.fact.valid_to),
         record_cell(stored),
         stored.fact.source});
  }
  if (!table.empty()) {
    table.print(streams.out);
  }
  const auto count = static_cast<long long>(facts.size());
  streams.out << counted(count, options.versions ? "version" : "fact")
              << (options.limit != 0 && facts.size() == options.limit ? ", cut by --limit" : "")
              << '\n';
}

void query(const StoreCommand& command, const QueryOptions& options, const Streams& streams) {
  const EditStore store = command.open();
  const FactQuery query = make_query(store, options);
  if (!options.count) {
    print(command, options, store.find(query), streams);
    return;
  }
  std::int64_t count = 0;
  store.for_each(query, [&](const StoredFact&) { ++count; });
  if (command.common->json) {
    print_json(streams.out, {{"count", count}});
  } else {
    streams.out << count << '\n';
  }
}

} // namespace

void add_store_query(CLI::App& store, const Streams& streams) {
  const StoreCommand command =
      add_store_command(store, "query", "Facts that fit all that is asked for");
  const auto options = std::make_shared<QueryOptions>();
  command.app->add_option(
      "text,--text", options->text, "In the name of subject or object; ASCII case does not count");
  command.app->add_option("--subject", options->subject, "Name or alias");
  command.app->add_option("--relation", options->relation, "A relation of the store");
  command.app->add_option("--object", options->object, "Name or alias");
  command.app->add_option("--on", options->on, "Held on this day: YYYY[-MM[-DD]]");
  command.app->add_option(
      "--during", options->during, "FROM..TO: held on some day from FROM up to TO");
  command.app->add_option(
      "--recorded", options->recorded, "As known after a change (number) or at a time (UTC)");
  command.app->add_option("--source", options->source, "Pattern with * and ?");
  command.app->add_flag("--acting", options->acting, "Only acting holders");
  command.app->add_flag("--versions", options->versions, "Former versions and withdrawn facts too");
  command.app->add_flag("--count", options->count, "Only how many");
  command.app->add_option("--limit", options->limit, "At most so many; 0: all")
      ->capture_default_str();
  command.app->footer(
      "Ordered by relation, subject, start and object.\n"
      "Examples:\n"
      "  errata store query --store facts.db Kazakh\n"
      "  errata store query --store facts.db --object 'Giorgia Meloni'\n"
      "  errata store query --store facts.db --relation capital --during 2020..2026\n"
      "  errata store query --store facts.db --subject Italy --versions --source 'factbook@*'");
  command.app->callback([=] { query(command, *options, streams); });
}

} // namespace errata::cli
