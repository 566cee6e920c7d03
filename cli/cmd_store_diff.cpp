#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/store/record_json.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <ostream>

namespace errata::cli {
namespace {

using datasets::Edit;
using datasets::EditKind;
using editing::EditStore;
using editing::Learnt;
using editing::Moment;

struct DiffOptions {
  std::string days;
  std::string from;
  std::string to;
  std::string recorded;
  std::string since;
  std::string subject;
  std::vector<std::string> relations;
  std::vector<std::string> kinds;
};

/// What is compared with what.
struct Comparison {
  std::optional<Date> from_day;
  std::optional<Date> to_day;
  std::optional<std::int64_t> from_known;
  std::optional<std::int64_t> to_known;
  bool two_records = false;
};

Comparison comparison_of(const EditStore& store, const DiffOptions& options) {
  ERRATA_CHECK(
      options.days.empty() || (options.from.empty() && options.to.empty()),
      ErrorCode::kInvalidArgument,
      "the days are given twice, as '",
      options.days,
      "' and with --from and --to");
  ERRATA_CHECK(
      options.recorded.empty() || options.since.empty(),
      ErrorCode::kInvalidArgument,
      "--since R means --recorded R..; give one of them");
  Range days{options.from, options.to};
  if (!options.days.empty()) {
    days = split_range(options.days);
  }
  const Range records =
      options.since.empty() ? split_range(options.recorded) : Range{options.since, std::string()};
  Comparison comparison;
  comparison.two_records = records.to.has_value();
  comparison.from_known = known_change(store, records.from);
  comparison.to_known =
      comparison.two_records ? known_change(store, *records.to) : comparison.from_known;
  ERRATA_CHECK(
      !comparison.two_records || comparison.from_known,
      ErrorCode::kInvalidArgument,
      "--recorded ",
      options.recorded,
      " has no first record time; expected R1..R2, or R1.. up to now");
  if (days.from.empty() && days.to.value_or("").empty() && comparison.two_records) {
    return comparison; // any day
  }
  ERRATA_CHECK(
      !days.from.empty() && (!days.to || !days.to->empty()) && (days.to || comparison.two_records),
      ErrorCode::kInvalidArgument,
      "two states are needed: days FROM..TO, record times --recorded R1..R2 (or --since R), or "
      "both");
  comparison.from_day = parse_date(days.from, "the first day");
  comparison.to_day = parse_date(days.to.value_or(days.from), "the second day");
  return comparison;
}

class Filter {
 public:
  Filter(const EditStore& store, const DiffOptions& options) : options_(options) {
    for (const std::string& relation : options.relations) {
      store.relation(relation); // throws for an unknown one
    }
    if (!options.subject.empty()) {
      subject_ = store.resolve(options.subject);
    }
  }

  bool admits(const std::string& subject, const std::string& relation, EditKind kind) const {
    const auto among = [](const std::vector<std::string>& list, std::string_view value) {
      return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
    };
    return (!subject_ || *subject_ == subject) && among(options_.relations, relation) &&
           among(options_.kinds, datasets::to_string(kind));
  }

 private:
  const DiffOptions& options_;
  std::optional<std::string> subject_;
};

template <typename Entries>
std::array<std::int64_t, 3> count_kinds(const Entries& entries) {
  std::array<std::int64_t, 3> counts{};
  for (const auto& entry : entries) {
    ++counts[static_cast<std::size_t>(entry.kind)];
  }
  return counts;
}

const char* word(EditKind kind) {
  return kind == EditKind::kModification ? "changed"
         : kind == EditKind::kInjection  ? "new"
                                         : "gone";
}

std::string tally(const std::array<std::int64_t, 3>& counts) {
  return concat(counted(counts[0], "value"), " changed, ", counts[1], " new, ", counts[2], " gone");
}

void put_header(
    OrderedJson& json, const Comparison& comparison, const std::array<std::int64_t, 3>& counts) {
  if (comparison.from_day) {
    json["from"] = to_string(*comparison.from_day);
    json["to"] = to_string(*comparison.to_day);
  }
  if (comparison.two_records) {
    json["recorded_from"] = *comparison.from_known;
    json["recorded_to"] =
        comparison.to_known ? OrderedJson(*comparison.to_known) : OrderedJson(nullptr);
  } else if (comparison.from_known) {
    json["known"] = *comparison.from_known;
  }
  json["modifications"] = counts[0];
  json["injections"] = counts[1];
  json["removals"] = counts[2];
}

/// "2021-01-31 and 2026-01-22", "what was known after change 3 and now", or both.
std::string title(const Comparison& comparison) {
  std::string text;
  if (comparison.from_day) {
    text = comparison.from_day == comparison.to_day ? concat("on ", to_string(*comparison.from_day))
                                                    : concat(
                                                          "between ",
                                                          to_string(*comparison.from_day),
                                                          " and ",
                                                          to_string(*comparison.to_day));
  }
  if (comparison.two_records) {
    text += concat(
        text.empty() ? "" : ", ",
        "learnt after change ",
        *comparison.from_known,
        comparison.to_known ? concat(" up to change ", *comparison.to_known) : std::string());
  } else if (comparison.from_known) {
    text += concat(", as known after change ", *comparison.from_known);
  }
  return text;
}

void print_edits(
    const StoreCommand& command,
    const Comparison& comparison,
    const std::vector<Edit>& edits,
    const Streams& streams) {
  const auto counts = count_kinds(edits);
  if (command.common->json) {
    OrderedJson json = OrderedJson::object();
    put_header(json, comparison, counts);
    json["edits"] = OrderedJson::array();
    for (const Edit& edit : edits) {
      json["edits"].push_back(editing::to_json(edit));
    }
    print_json(streams.out, json);
    return;
  }
  TextTable table({"effective", "", "subject", "relation", "old", "new"});
  for (const Edit& edit : edits) {
    table.add(
        {date_cell(edit.effective),
         word(edit.kind),
         edit.subject,
         edit.relation,
         edit.old_object.value_or("-"),
         edit.new_object.value_or("-") + (edit.provisional && edit.new_object ? " (acting)" : "")});
  }
  if (!table.empty()) {
    table.print(streams.out);
  }
  streams.out << title(comparison) << ": " << tally(counts) << '\n';
}

/// "Rome, 2019 to 2021-03"
std::string interval_cell(const std::optional<editing::StoredFact>& stored) {
  if (!stored) {
    return "-";
  }
  const datasets::Fact& fact = stored->fact;
  return concat(
      fact.object,
      fact.provisional ? " (acting)" : "",
      fact.valid_from || fact.valid_to
          ? concat(", ", date_cell(fact.valid_from), " to ", date_cell(fact.valid_to))
          : std::string());
}

void print_learnt(
    const StoreCommand& command,
    const Comparison& comparison,
    const std::vector<Learnt>& facts,
    const Streams& streams) {
  const auto counts = count_kinds(facts);
  if (command.common->json) {
    OrderedJson json = OrderedJson::object();
    put_header(json, comparison, counts);
    json["facts"] = OrderedJson::array();
    for (const Learnt& item : facts) {
      json["facts"].push_back(
          {{"kind", datasets::to_string(item.kind)},
           {"before", item.before ? editing::to_json(*item.before) : OrderedJson(nullptr)},
           {"after", item.after ? editing::to_json(*item.after) : OrderedJson(nullptr)}});
    }
    print_json(streams.out, json);
    return;
  }
  TextTable table({"", "subject", "relation", "before", "after", "source"});
  for (const Learnt& item : facts) {
    const editing::StoredFact& any = item.after ? *item.after : *item.before;
    table.add(
        {word(item.kind),
         any.fact.subject,
         any.fact.relation,
         interval_cell(item.before),
         interval_cell(item.after),
         any.fact.source});
  }
  if (!table.empty()) {
    table.print(streams.out);
  }
  streams.out << title(comparison) << ": " << tally(counts) << '\n';
}

void diff(const StoreCommand& command, const DiffOptions& options, const Streams& streams) {
  const EditStore store = command.open();
  const Comparison comparison = comparison_of(store, options);
  const Filter filter(store, options);
  if (!comparison.from_day) {
    std::vector<Learnt> facts = store.learnt(*comparison.from_known, comparison.to_known);
    std::erase_if(facts, [&](const Learnt& item) {
      const datasets::Fact& fact = (item.after ? *item.after : *item.before).fact;
      return !filter.admits(fact.subject, fact.relation, item.kind);
    });
    print_learnt(command, comparison, facts, streams);
    return;
  }
  std::vector<Edit> edits = store.diff(
      Moment{*comparison.from_day, comparison.from_known},
      Moment{*comparison.to_day, comparison.to_known});
  std::erase_if(edits, [&](const Edit& edit) {
    return !filter.admits(edit.subject, edit.relation, edit.kind);
  });
  print_edits(command, comparison, edits, streams);
}

} // namespace

void add_store_diff(CLI::App& store, const Streams& streams) {
  const StoreCommand command = add_store_command(
      store, "diff", "What changed between two days, between two states of the record, or both");
  const auto options = std::make_shared<DiffOptions>();
  command.app->add_option("days", options->days, "FROM..TO, or one day with two record times");
  command.app->add_option("--from", options->from, "First day: YYYY[-MM[-DD]]");
  command.app->add_option("--to", options->to, "Second day");
  command.app->add_option(
      "--recorded",
      options->recorded,
      "R: as known after a change (number) or at a time (UTC); R1..R2: from what was known then to "
      "what was known later; R1..: to now");
  command.app->add_option("--since", options->since, "R: the same as --recorded R..");
  command.app->add_option("--subject", options->subject, "Only of this subject");
  command.app->add_option("--relation", options->relations, "Only these relations");
  command.app->add_option("--kind", options->kinds, "Only these kinds")
      ->check(CLI::IsMember({"modification", "injection", "removal"}));
  command.app->footer(
      "Two days are compared in what held on them; two record times without a day in what the\n"
      "store says of any day: what did we learn since?\n"
      "Examples:\n"
      "  errata store diff --store facts.db 2021-01-31..2026-01-22\n"
      "  errata store diff --store facts.db --from 2024 --to 2025 --relation capital --json\n"
      "  errata store diff --store facts.db --since 2024-05-01\n"
      "  errata store diff --store facts.db 2023-01-01 --recorded 12..17\n"
      "  errata store diff --store facts.db 2021..2023 --recorded 2024-05-01..2024-06-01");
  command.app->callback([=] { diff(command, *options, streams); });
}

} // namespace errata::cli
