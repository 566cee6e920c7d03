#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/store/record_json.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <ostream>

namespace errata::cli {
namespace {

using datasets::Edit;
using datasets::EditKind;
using editing::EditStore;

struct DiffOptions {
  std::string range;
  std::string from;
  std::string to;
  std::string recorded;
  std::vector<std::string> relations;
};

std::pair<Date, Date> days_of(const DiffOptions& options) {
  std::string from = options.from;
  std::string to = options.to;
  if (!options.range.empty()) {
    const auto dots = options.range.find("..");
    ERRATA_CHECK(
        dots != std::string::npos && from.empty() && to.empty(),
        ErrorCode::kInvalidArgument,
        "the days '",
        options.range,
        "' are not in the form FROM..TO; give that or --from and --to");
    from = options.range.substr(0, dots);
    to = options.range.substr(dots + 2);
  }
  return {parse_date(from, "the first day"), parse_date(to, "the second day")};
}

std::vector<Edit> selected_edits(const EditStore& store, const DiffOptions& options) {
  const auto [from, to] = days_of(options);
  for (const std::string& relation : options.relations) {
    store.relation(relation); // throws for an unknown one
  }
  std::vector<Edit> edits = store.diff(from, to, known_change(store, options.recorded));
  if (!options.relations.empty()) {
    std::erase_if(edits, [&](const Edit& edit) {
      return std::find(options.relations.begin(), options.relations.end(), edit.relation) ==
             options.relations.end();
    });
  }
  return edits;
}

void diff(const StoreCommand& command, const DiffOptions& options, const Streams& streams) {
  const auto [from, to] = days_of(options);
  const std::vector<Edit> edits = selected_edits(command.open(), options);
  const auto count = [&](EditKind kind) {
    return std::count_if(
        edits.begin(), edits.end(), [&](const Edit& edit) { return edit.kind == kind; });
  };
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const Edit& edit : edits) {
      list.push_back(editing::to_json(edit));
    }
    print_json(
        streams.out,
        {{"from", to_string(from)},
         {"to", to_string(to)},
         {"modifications", count(EditKind::kModification)},
         {"injections", count(EditKind::kInjection)},
         {"removals", count(EditKind::kRemoval)},
         {"edits", list}});
    return;
  }
  const std::string days = to_string(from) + " and " + to_string(to);
  if (edits.empty()) {
    streams.out << "no change between " << days << '\n';
    return;
  }
  TextTable table({"effective", "subject", "relation", "old", "new"});
  for (const Edit& edit : edits) {
    table.add(
        {date_cell(edit.effective),
         edit.subject,
         edit.relation,
         edit.old_object.value_or("-"),
         edit.new_object.value_or("-") + (edit.provisional && edit.new_object ? " (acting)" : "")});
  }
  table.print(streams.out);
  streams.out << "between " << days << ": " << counted(count(EditKind::kModification), "value")
              << " changed, " << count(EditKind::kInjection) << " new, "
              << count(EditKind::kRemoval) << " gone\n";
}

void print_log(
    const StoreCommand& command,
    const std::string& subject,
    std::size_t limit,
    const Streams& streams) {
  const EditStore store = command.open();
  const auto entries = store.log(limit, subject.empty() ? subject : store.resolve(subject));
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const editing::LogEntry& entry : entries) {
      list.push_back(
          {{"change", entry.change},
           {"at", entry.at},
           {"action", entry.action},
           {"note", entry.note},
           {"added", entry.added},
           {"superseded", entry.superseded},
           {"retracted", entry.retracted}});
    }
    print_json(streams.out, {{"changes", list}});
    return;
  }
  TextTable table({"change", "at", "action", "added", "corrected", "retracted", "note"});
  for (const editing::LogEntry& entry : entries) {
    table.add(
        {std::to_string(entry.change),
         entry.at,
         entry.action,
         std::to_string(entry.added),
         std::to_string(entry.superseded),
         std::to_string(entry.retracted),
         entry.note});
  }
  table.print(streams.out);
}

void conflicts(const StoreCommand& command, const Streams& streams) {
  const auto found = command.open().conflicts();
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const editing::Conflict& conflict : found) {
      const auto bound = [](const std::optional<Date>& date) {
        return date ? OrderedJson(to_string(*date)) : OrderedJson(nullptr);
      };
      list.push_back(
          {{"subject", conflict.first.fact.subject},
           {"relation", conflict.first.fact.relation},
           {"from", bound(conflict.from)},
           {"to", bound(conflict.to)},
           {"first", editing::to_json(conflict.first)},
           {"second", editing::to_json(conflict.second)}});
    }
    print_json(streams.out, {{"conflicts", list}});
    return;
  }
  if (found.empty()) {
    streams.out << "no conflict\n";
    return;
  }
  TextTable table({"subject", "relation", "one", "other", "from", "to"});
  for (const editing::Conflict& conflict : found) {
    table.add(
        {conflict.first.fact.subject,
         conflict.first.fact.relation,
         conflict.first.fact.object,
         conflict.second.fact.object,
         date_cell(conflict.from),
         date_cell(conflict.to)});
  }
  table.print(streams.out);
}

void blame(
    const StoreCommand& command,
    const std::string& subject,
    const std::string& relation,
    const Streams& streams) {
  const EditStore store = command.open();
  const auto name = store.relation(relation).name;
  const auto entries = store.blame(store.resolve(subject), name);
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const editing::BlameEntry& entry : entries) {
      OrderedJson item = editing::to_json(entry.fact);
      item["runs"] = entry.runs;
      list.push_back(std::move(item));
    }
    print_json(streams.out, {{"facts", list}});
    return;
  }
  TextTable table({"object", "from", "to", "change", "recorded", "ended by", "source", "runs"});
  for (const editing::BlameEntry& entry : entries) {
    std::string runs;
    for (const std::string& run : entry.runs) {
      runs += (runs.empty() ? "" : " ") + run;
    }
    table.add(
        {entry.fact.fact.object,
         date_cell(entry.fact.fact.valid_from),
         date_cell(entry.fact.fact.valid_to),
         std::to_string(entry.fact.recorded),
         entry.fact.recorded_at,
         entry.fact.superseded == 0 ? "-" : std::to_string(entry.fact.superseded),
         entry.fact.fact.source,
         runs});
  }
  table.print(streams.out);
}

void add_diff(CLI::App& store, const Streams& streams) {
  const StoreCommand command =
      add_store_command(store, "diff", "The edits that lead from one day to another");
  const auto options = std::make_shared<DiffOptions>();
  command.app->add_option("days", options->range, "FROM..TO");
  command.app->add_option("--from", options->from, "First day: YYYY[-MM[-DD]]");
  command.app->add_option("--to", options->to, "Second day");
  command.app->add_option(
      "--recorded", options->recorded, "As known after a change (number) or at a time (UTC)");
  command.app->add_option("--relation", options->relations, "Only these relations");
  command.app->footer(
      "Examples:\n"
      "  errata store diff --store facts.db 2021-01-31..2026-01-22\n"
      "  errata store diff --store facts.db --from 2024 --to 2025 --relation capital --json");
  command.app->callback([=] { diff(command, *options, streams); });
}

} // namespace

void add_store_history(CLI::App& store, const Streams& streams) {
  add_diff(store, streams);

  const StoreCommand log = add_store_command(store, "log", "What was recorded when");
  const auto about = std::make_shared<std::string>();
  const auto limit = std::make_shared<std::size_t>(0);
  log.app->add_option("subject,--subject", *about, "Only changes to its facts");
  log.app->add_option("--limit", *limit, "At most so many, newest first; 0: all")
      ->capture_default_str();
  log.app->footer("Example:\n  errata store log --store facts.db --limit 10");
  log.app->callback([=] { print_log(log, *about, *limit, streams); });

  const StoreCommand conflict =
      add_store_command(store, "conflicts", "Values that contradict each other");
  conflict.app->footer("Example:\n  errata store conflicts --store facts.db");
  conflict.app->callback([=] { conflicts(conflict, streams); });

  const StoreCommand command = add_store_command(
      store, "blame", "Where the values of a slot came from and which runs carry them");
  const auto subject = std::make_shared<std::string>();
  const auto relation = std::make_shared<std::string>();
  command.app->add_option("subject,--subject", *subject, "What the facts are about")->required();
  command.app->add_option("relation,--relation", *relation, "A relation of the store")->required();
  command.app->footer("Example:\n  errata store blame --store facts.db Italy head_of_government");
  command.app->callback([=] { blame(command, *subject, *relation, streams); });
}

} // namespace errata::cli
