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
using editing::CarriedEdit;
using editing::EditStore;
using editing::RunRecord;

struct RunsOptions {
  std::string run;
  std::string subject;
  std::string relation;
  bool stale = false;
};

std::int64_t stale_count(const std::vector<CarriedEdit>& edits) {
  return std::count_if(
      edits.begin(), edits.end(), [](const CarriedEdit& item) { return !item.holds; });
}

std::vector<CarriedEdit> chosen_edits(
    const EditStore& store, const RunRecord& run, const RunsOptions& options) {
  std::vector<CarriedEdit> edits = store.carried(run);
  std::erase_if(edits, [&](const CarriedEdit& item) {
    return (!options.subject.empty() && item.edit.subject != options.subject) ||
           (!options.relation.empty() && item.edit.relation != options.relation) ||
           (options.stale && item.holds);
  });
  return edits;
}

OrderedJson run_json(const RunRecord& run) {
  OrderedJson json = {
      {"id", run.id},
      {"at", run.at},
      {"method", run.method},
      {"output", run.output},
      {"seed", run.seed},
      {"from", run.from ? OrderedJson(to_string(*run.from)) : OrderedJson(nullptr)},
      {"to", run.to ? OrderedJson(to_string(*run.to)) : OrderedJson(nullptr)},
      {"model_sha256", run.model_sha256},
      {"store_sha256", run.store_sha256},
      {"adapter_sha256", run.adapter_sha256}};
  const auto object = [](const std::string& text) {
    return text.empty() ? OrderedJson::object() : OrderedJson::parse(text, nullptr, false);
  };
  json["config"] = object(run.config);
  json["metrics"] = object(run.metrics);
  return json;
}

OrderedJson edits_json(const std::vector<CarriedEdit>& edits) {
  OrderedJson list = OrderedJson::array();
  for (const CarriedEdit& item : edits) {
    OrderedJson json = editing::to_json(item.edit);
    json["holds"] = item.holds;
    json["now"] = item.now;
    list.push_back(std::move(json));
  }
  return list;
}

void print_run(const RunRecord& run, const std::vector<CarriedEdit>& edits, std::ostream& out) {
  out << "run      " << run.id << ", recorded " << run.at << "\nmethod   " << run.method
      << ", seed " << run.seed << "\ndays     " << date_cell(run.from) << " to "
      << date_cell(run.to) << "\noutput   " << run.output << "\nadapter  " << run.adapter_sha256
      << "\nmodel    " << run.model_sha256 << '\n';
  TextTable table({"edit", "effective", "subject", "relation", "old", "new", "the store says now"});
  for (const CarriedEdit& item : edits) {
    table.add(
        {item.edit.id,
         date_cell(item.edit.effective),
         item.edit.subject,
         item.edit.relation,
         item.edit.old_object.value_or("-"),
         item.edit.new_object.value_or("-"),
         item.holds         ? "the same"
         : item.now.empty() ? "nothing"
                            : joined(item.now)});
  }
  if (!table.empty()) {
    table.print(out);
  }
  out << counted(static_cast<long long>(edits.size()), "edit") << ", " << stale_count(edits)
      << " of them no longer as the store knows it\n";
}

void print_one(const StoreCommand& command, const RunsOptions& options, const Streams& streams) {
  const EditStore store = command.open();
  const RunRecord run = store.run(options.run);
  const auto edits = chosen_edits(store, run, options);
  if (!command.common->json) {
    print_run(run, edits, streams.out);
    return;
  }
  OrderedJson json = run_json(run);
  json["stale"] = stale_count(edits);
  json["edits"] = edits_json(edits);
  print_json(streams.out, json);
}

void print_all(const StoreCommand& command, const RunsOptions& options, const Streams& streams) {
  const EditStore store = command.open();
  const bool filtered = options.stale || !options.subject.empty() || !options.relation.empty();
  OrderedJson list = OrderedJson::array();
  TextTable table({"run", "recorded", "method", "from", "to", "edits", "stale", "output"});
  for (const RunRecord& run : store.runs()) {
    const auto edits = chosen_edits(store, run, options);
    if (filtered && edits.empty()) {
      continue;
    }
    OrderedJson json = run_json(run);
    json["stale"] = stale_count(edits);
    json["edits"] = edits_json(edits);
    list.push_back(std::move(json));
    table.add(
        {run.id,
         run.at,
         run.method,
         date_cell(run.from),
         date_cell(run.to),
         std::to_string(edits.size()),
         std::to_string(stale_count(edits)),
         run.output});
  }
  if (command.common->json) {
    print_json(streams.out, {{"runs", list}});
  } else if (table.empty()) {
    streams.out << (filtered ? "no run carries such an edit\n" : "no run is recorded\n");
  } else {
    table.print(streams.out);
  }
}

/// Whether a recorded run has an edit with `name` in this place. Edits that were given outright
/// speak of subjects and relations that the store need not know.
bool is_carried(const EditStore& store, std::string Edit::*place, const std::string& name) {
  const std::vector<RunRecord> all = store.runs();
  return std::any_of(all.begin(), all.end(), [&](const RunRecord& run) {
    return std::any_of(
        run.edits.begin(), run.edits.end(), [&](const Edit& edit) { return edit.*place == name; });
  });
}

// Names are looked up so that an alias or a slip of the pen is not a silent "no run".
void runs(const StoreCommand& command, RunsOptions options, const Streams& streams) {
  {
    const EditStore store = command.open();
    if (!options.subject.empty() && !is_carried(store, &Edit::subject, options.subject)) {
      options.subject = store.resolve(options.subject);
    }
    if (!options.relation.empty() && !is_carried(store, &Edit::relation, options.relation)) {
      options.relation = store.relation(options.relation).name;
    }
  }
  (options.run.empty() ? print_all : print_one)(command, options, streams);
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
  TextTable table({"object", "from", "to", "source", "recorded", "state", "runs that carry it"});
  for (const editing::BlameEntry& entry : entries) {
    const editing::StoredFact& stored = entry.fact;
    table.add(
        {stored.fact.object + (stored.fact.provisional ? " (acting)" : ""),
         date_cell(stored.fact.valid_from),
         date_cell(stored.fact.valid_to),
         stored.fact.source.empty() ? "-" : stored.fact.source,
         concat(stored.recorded_at, ", change ", stored.recorded),
         stored.superseded == 0 ? std::string("current")
                                : concat(
                                      stored.superseded_by == 0 ? "withdrawn" : "replaced",
                                      " in change ",
                                      stored.superseded),
         entry.runs.empty() ? "-" : joined(entry.runs)});
  }
  table.print(streams.out);
}

} // namespace

void add_store_runs(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(
      store, "runs", "Recorded runs, what each adapter carries, and what is out of date in it");
  const auto options = std::make_shared<RunsOptions>();
  command.app->add_option("run,--run", options->run, "One run with its edits; none: all runs");
  command.app->add_option("--subject", options->subject, "Only edits of this subject");
  command.app->add_option("--relation", options->relation, "Only edits of this relation");
  command.app->add_flag(
      "--stale", options->stale, "Only edits that the store has learnt better since");
  command.app->footer(
      "An edit is stale when its value is no longer what the store gives for the run's second "
      "day:\n"
      "a fact was retracted or corrected. 'errata edit-batch --without EDIT' makes the adapter "
      "anew.\n"
      "Examples:\n"
      "  errata store runs --store facts.db\n"
      "  errata store runs --store facts.db --stale\n"
      "  errata store runs --store facts.db 20260122-101500-ab12 --subject Italy");
  command.app->callback([=] { runs(command, *options, streams); });

  const StoreCommand origin = add_store_command(
      store, "blame", "Where the values of a slot came from and which runs carry them");
  const auto subject = std::make_shared<std::string>();
  const auto relation = std::make_shared<std::string>();
  origin.app->add_option("subject,--subject", *subject, "What the facts are about")->required();
  origin.app->add_option("relation,--relation", *relation, "A relation of the store")->required();
  origin.app->footer("Example:\n  errata store blame --store facts.db Italy head_of_government");
  origin.app->callback([=] { blame(origin, *subject, *relation, streams); });
}

} // namespace errata::cli
