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

// A word of a POSIX shell.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return result + "'";
}

std::string remedy(const std::string& store, const editing::Conflict& conflict) {
  const editing::FactKey& wrong = conflict.wrong;
  return concat(
      "errata store retract --store ",
      quoted(store),
      ' ',
      quoted(wrong.subject),
      ' ',
      quoted(wrong.relation),
      ' ',
      quoted(wrong.object.value_or("")),
      wrong.valid_from ? " --from " + to_string(*wrong.valid_from) : "",
      conflict.until ? " --on " + to_string(*conflict.until) : "");
}

OrderedJson conflict_json(const std::string& store, const editing::Conflict& conflict) {
  const auto bound = [](const std::optional<Date>& date) {
    return date ? OrderedJson(to_string(*date)) : OrderedJson(nullptr);
  };
  return {
      {"subject", conflict.first.fact.subject},
      {"relation", conflict.first.fact.relation},
      {"from", bound(conflict.from)},
      {"to", bound(conflict.to)},
      {"why", conflict.why},
      {"remedy", remedy(store, conflict)},
      {"first", editing::to_json(conflict.first)},
      {"second", editing::to_json(conflict.second)}};
}

void conflicts(const StoreCommand& command, const Streams& streams) {
  const auto found = command.open().conflicts();
  if (command.common->json) {
    OrderedJson list = OrderedJson::array();
    for (const editing::Conflict& conflict : found) {
      list.push_back(conflict_json(*command.store, conflict));
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
  for (const editing::Conflict& conflict : found) {
    streams.out << '\n'
                << conflict.first.fact.subject << ", " << conflict.first.fact.relation << ": "
                << conflict.why << "\n  a way out: " << remedy(*command.store, conflict) << '\n';
  }
  streams.out << '\n' << counted(static_cast<long long>(found.size()), "conflict") << '\n';
}

} // namespace

void add_store_history(CLI::App& store, const Streams& streams) {
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
}

} // namespace errata::cli
