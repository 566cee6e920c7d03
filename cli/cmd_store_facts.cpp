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

using datasets::Fact;
using editing::EditStore;
using editing::Outcome;
using editing::StoredFact;

struct FactOptions {
  std::string subject;
  std::string relation;
  std::string object;
  std::string from;
  std::string to;
  std::string on;
  std::string recorded;
  std::string source;
  std::string note;
  std::vector<std::string> aliases;
  bool provisional = false;
};

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAdded:
      return "added";
    case Outcome::kSuperseded:
      return "superseded";
    case Outcome::kUnchanged:
      break;
  }
  return "unchanged";
}

template <typename Facts>
OrderedJson facts_json(const Facts& facts) {
  OrderedJson list = OrderedJson::array();
  for (const auto& fact : facts) {
    list.push_back(editing::to_json(fact));
  }
  return list;
}

void add(const StoreCommand& command, const FactOptions& options, const Streams& streams) {
  Fact fact;
  fact.subject = options.subject;
  fact.relation = options.relation;
  fact.object = options.object;
  fact.valid_from = optional_date(options.from, "--from");
  fact.valid_to = optional_date(options.to, "--to");
  fact.aliases = options.aliases;
  fact.source = options.source;
  fact.note = options.note;
  fact.provisional = options.provisional;
  EditStore store = command.open();
  const Outcome outcome = store.add(fact);
  editing::FactQuery query;
  query.subject = fact.subject;
  query.relation = fact.relation;
  const std::vector<StoredFact> slot = store.find(query);
  if (command.common->json) {
    print_json(streams.out, {{"outcome", name_of(outcome)}, {"facts", facts_json(slot)}});
    return;
  }
  streams.out << name_of(outcome) << "; the slot now holds\n";
  TextTable table = fact_table();
  for (const StoredFact& stored : slot) {
    add_row(table, stored.fact);
  }
  table.print(streams.out);
}

void retract(const StoreCommand& command, const FactOptions& options, const Streams& streams) {
  const auto day = optional_date(options.on, "--on");
  EditStore store = command.open();
  editing::FactKey key;
  store.relation(options.relation); // a misspelt relation is named before a subject is
  key.subject = store.resolve(options.subject);
  key.relation = options.relation;
  if (!options.object.empty()) {
    key.object = store.resolve(options.object);
  }
  key.valid_from = optional_date(options.from, "--from");
  const std::int64_t count =
      day ? store.end(key, *day, options.note) : store.retract(key, options.note);
  if (command.common->json) {
    print_json(streams.out, {{day ? "ended" : "retracted", count}});
  } else {
    streams.out << (day ? "ended " : "retracted ") << counted(count, "fact") << '\n';
  }
}

void show_store(const StoreCommand& command, const EditStore& store, const Streams& streams) {
  const editing::Statistics statistics = store.statistics();
  if (command.common->json) {
    OrderedJson relations = OrderedJson::array();
    for (const datasets::Relation& relation : store.relations()) {
      relations.push_back(editing::to_json(relation));
    }
    OrderedJson sets = OrderedJson::array();
    for (const editing::SetInfo& set : store.sets()) {
      sets.push_back({{"name", set.name}, {"multi_hop", set.multi_hop}, {"edits", set.edits}});
    }
    print_json(
        streams.out,
        {{"facts", statistics.facts},
         {"entities", statistics.entities},
         {"relations", relations},
         {"sets", sets}});
    return;
  }
  TextTable table({"relation", "values", "inverse", "questions"});
  for (const datasets::Relation& relation : store.relations()) {
    table.add(
        {relation.name,
         relation.functional ? "one" : "many",
         relation.inverse.empty() ? "-" : relation.inverse,
         std::to_string(relation.questions.size())});
  }
  table.print(streams.out);
  for (const editing::SetInfo& set : store.sets()) {
    streams.out << "set " << set.name << ": " << counted(set.multi_hop, "multi-hop case") << ", "
                << counted(set.edits, "edit") << '\n';
  }
  streams.out << counted(statistics.facts, "fact") << ", " << statistics.entities << " entities, "
              << counted(statistics.changes, "change") << '\n';
}

void show(const StoreCommand& command, const std::string& name, const Streams& streams) {
  const EditStore store = command.open();
  if (name.empty()) {
    show_store(command, store, streams);
    return;
  }
  const editing::EntityView view = store.show(name);
  if (command.common->json) {
    OrderedJson result = editing::to_json(view.entity);
    result["facts"] = facts_json(view.facts);
    result["incoming"] = facts_json(view.incoming);
    print_json(streams.out, result);
    return;
  }
  streams.out << view.entity.name << (view.entity.kind.empty() ? "" : " (" + view.entity.kind + ")")
              << '\n';
  for (const std::string& alias : view.entity.aliases) {
    streams.out << "  also: " << alias << '\n';
  }
  TextTable table = fact_table();
  for (const auto* facts : {&view.facts, &view.incoming}) {
    for (const StoredFact& stored : *facts) {
      add_row(table, stored.fact);
    }
  }
  table.print(streams.out);
}

void as_of(const StoreCommand& command, const FactOptions& options, const Streams& streams) {
  const Date day = parse_date(options.on, "the day");
  const EditStore store = command.open();
  editing::FactQuery query;
  query.day = day;
  query.known = known_change(store, options.recorded);
  if (!options.relation.empty()) {
    query.relation = store.relation(options.relation).name;
  }
  if (!options.subject.empty()) {
    query.subject = store.resolve(options.subject);
  }
  if (!options.object.empty()) {
    query.object = store.resolve(options.object);
  }
  const std::vector<StoredFact> facts = store.find(query);
  if (command.common->json) {
    OrderedJson result = {{"day", to_string(day)}};
    if (query.known) {
      result["known"] = *query.known;
    }
    result["facts"] = facts_json(facts);
    print_json(streams.out, result);
    return;
  }
  TextTable table = fact_table();
  for (const StoredFact& stored : facts) {
    add_row(table, stored.fact);
  }
  if (!table.empty()) {
    table.print(streams.out);
  }
  streams.out << counted(static_cast<long long>(facts.size()), "fact") << " on " << to_string(day)
              << '\n';
}

void add_names(CLI::App& app, FactOptions& options, bool object_required) {
  app.add_option("subject,--subject", options.subject, "What the fact is about")->required();
  app.add_option("relation,--relation", options.relation, "A relation of the store")->required();
  app.add_option("object,--object", options.object, "Its value")->required(object_required);
}

void add_add(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(store, "add", "Records a fact");
  const auto options = std::make_shared<FactOptions>();
  add_names(*command.app, *options, true);
  command.app->add_option("--from,--valid-from", options->from, "First day: YYYY[-MM[-DD]]");
  command.app->add_option(
      "--to,--valid-to", options->to, "First day after it (default: the start of the next value)");
  command.app->add_option("--alias", options->aliases, "Another name of the object (repeatable)");
  command.app->add_option("--source", options->source, "Where it is from");
  command.app->add_option("--note", options->note, "Anything else");
  command.app->add_flag("--provisional", options->provisional, "An acting holder");
  command.app->footer(
      "A value of a functional relation ends where the next one begins.\n"
      "Example:\n"
      "  errata store add --store facts.db Kazakhstan capital Astana --from 2022-09-17 --source "
      "me");
  command.app->callback([=] { add(command, *options, streams); });
}

void add_retract(CLI::App& store, const Streams& streams) {
  const StoreCommand command =
      add_store_command(store, "retract", "Withdraws a wrong fact, or ends one that held");
  const auto options = std::make_shared<FactOptions>();
  add_names(*command.app, *options, false);
  command.app->add_option("--from,--valid-from", options->from, "Only the fact that starts here");
  command.app->add_option("--on", options->on, "It held until this day, instead of never");
  command.app->add_option("--note", options->note, "Why, for the log");
  command.app->footer(
      "Examples:\n"
      "  errata store retract --store facts.db Kazakhstan capital Astana --note 'typing mistake'\n"
      "  errata store retract --store facts.db Iran chief_of_state 'Ali Khamenei' --on 2026-03");
  command.app->callback([=] { retract(command, *options, streams); });
}

void add_as_of(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(store, "as-of", "What held on a day");
  const auto options = std::make_shared<FactOptions>();
  command.app->add_option("day,--day,--date", options->on, "YYYY[-MM[-DD]]")->required();
  command.app->add_option(
      "--recorded", options->recorded, "As known after a change (number) or at a time (UTC)");
  command.app->add_option("--subject", options->subject, "Only of this subject");
  command.app->add_option("--relation", options->relation, "Only of this relation");
  command.app->add_option("--object", options->object, "Only with this value");
  command.app->footer(
      "Examples:\n"
      "  errata store as-of --store facts.db 2021-01-31 --relation capital\n"
      "  errata store as-of --store facts.db 2021 --subject Italy --recorded 2024-05-01");
  command.app->callback([=] { as_of(command, *options, streams); });
}

} // namespace

void add_store_facts(CLI::App& store, const Streams& streams) {
  add_add(store, streams);
  add_retract(store, streams);
  add_as_of(store, streams);
  const StoreCommand command =
      add_store_command(store, "show", "What is known of an entity, or of the whole store");
  const auto name = std::make_shared<std::string>();
  command.app->add_option("subject,--subject", *name, "Name or alias; none: relations and sets");
  command.app->footer("Example:\n  errata store show --store facts.db Italy");
  command.app->callback([=] { show(command, *name, streams); });
}

} // namespace errata::cli
