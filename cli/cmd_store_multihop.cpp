#include "cli/output.h"
#include "cli/store_commands.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "editing/plan/multihop_builder.h"
#include "editing/store/record_json.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <map>
#include <ostream>

namespace errata::cli {
namespace {

using datasets::MultiHopCase;
using editing::EditStore;
using editing::MultiHopOptions;
using editing::MultiHopReport;
using editing::Reached;
using editing::World;

struct BuildOptions {
  std::string from;
  std::string to;
  std::string hops = "2-4";
  std::string which = "all";
  std::vector<std::string> relations;
  std::string set;
  std::string out;
  std::string check;
  std::size_t limit = 0;
  std::size_t questions = 3;
};

int hop_number(std::string_view text, const std::string& hops) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  ERRATA_CHECK(
      error == std::errc{} && end == text.data() + text.size(),
      ErrorCode::kInvalidArgument,
      "--hops '",
      hops,
      "' is neither a number nor a range; expected 2 to 4, as 3 or 2-4");
  return number;
}

MultiHopOptions multi_hop_options(
    const EditStore& store, const BuildOptions& options, std::uint64_t seed) {
  MultiHopOptions result;
  const std::string_view hops = options.hops;
  const auto dash = hops.find('-');
  result.min_hops = hop_number(hops.substr(0, dash), options.hops);
  result.max_hops = dash == std::string_view::npos
                        ? result.min_hops
                        : hop_number(hops.substr(dash + 1), options.hops);
  result.changed = options.which != "unchanged";
  result.unchanged = options.which != "changed";
  result.questions = options.questions;
  result.limit = options.limit;
  result.seed = seed;
  for (const std::string& relation : options.relations) {
    result.relations.insert(store.relation(relation).name);
  }
  return result;
}

std::string case_lines(const std::vector<MultiHopCase>& cases) {
  std::string lines;
  for (const MultiHopCase& item : cases) {
    lines += editing::to_json(item).dump() + '\n';
  }
  return lines;
}

std::map<std::string, std::int64_t> kinds(const std::vector<MultiHopCase>& cases) {
  std::map<std::string, std::int64_t> counts;
  for (const MultiHopCase& item : cases) {
    ++counts[concat(
        item.hops(),
        " hops, ",
        !item.changed        ? "unchanged"
        : item.chain.empty() ? "no answer before"
                             : concat(item.edited_hop, " hop changed"))];
  }
  return counts;
}

OrderedJson report_json(const MultiHopReport& report) {
  return {
      {"chains", report.chains},
      {"same_answer", report.same_answer},
      {"several_before", report.several_before},
      {"leaks", report.leaks},
      {"repeated_question", report.repeated_question},
      {"not_wanted", report.not_wanted},
      {"not_drawn", report.not_drawn}};
}

void print_report(const MultiHopReport& report, std::ostream& out) {
  out << report.chains << " chains walked; left out: " << report.same_answer
      << " that led to the same answer before by another way, " << report.several_before
      << " without a single value before, " << report.leaks << " that show the answer, "
      << report.repeated_question << " asked in the words of another, " << report.not_wanted
      << " not asked for, " << report.not_drawn << " above --limit\n";
}

OrderedJson check_json(const std::vector<Reached>& reached) {
  OrderedJson missed = OrderedJson::array();
  std::int64_t count = 0;
  for (const Reached& item : reached) {
    count += item.reached ? 1 : 0;
    if (!item.reached) {
      missed.push_back({{"id", item.id}, {"reason", item.reason}});
    }
  }
  return {{"cases", reached.size()}, {"reached", count}, {"missed", missed}};
}

void print_check(const std::string& set, const std::vector<Reached>& reached, std::ostream& out) {
  std::map<std::string, std::vector<std::string>> missed; // ids by reason
  std::size_t count = 0;
  for (const Reached& item : reached) {
    if (item.reached) {
      ++count;
    } else {
      missed[item.reason].push_back(item.id);
    }
  }
  for (const auto& [reason, ids] : missed) {
    out << "  " << ids.front()
        << (ids.size() > 1 ? concat(" and ", ids.size() - 1, " more") : std::string()) << ": "
        << reason << '\n';
  }
  out << count << " of the " << reached.size() << " cases of set " << set
      << " were built with the same chains and answers\n";
}

void print_cases(
    const std::vector<MultiHopCase>& cases, const MultiHopReport& report, std::ostream& out) {
  constexpr std::size_t kShown = 5;
  TextTable table({"kind", "cases"});
  for (const auto& [kind, count] : kinds(cases)) {
    table.add({kind, std::to_string(count)});
  }
  if (!table.empty()) {
    table.print(out);
  }
  const std::size_t stride = std::max<std::size_t>((cases.size() + kShown - 1) / kShown, 1);
  for (std::size_t i = 0; i < cases.size(); i += stride) {
    out << "  " << cases[i].questions.front() << "\n    "
        << (cases[i].answer.empty() ? "-" : cases[i].answer) << " -> " << cases[i].new_answer
        << '\n';
  }
  print_report(report, out);
}

void build(const StoreCommand& command, const BuildOptions& options, const Streams& streams) {
  const Date from = parse_date(options.from, "--from");
  const Date to = parse_date(options.to, "--to");
  EditStore store = command.open();
  MultiHopOptions wanted = multi_hop_options(store, options, command.common->seed);
  const std::vector<MultiHopCase> written =
      options.check.empty() ? std::vector<MultiHopCase>() : store.multi_hop(options.check);
  wanted.explain = editing::chain_keys(written);
  ERRATA_CHECK(
      options.check.empty() || !written.empty(),
      ErrorCode::kInvalidArgument,
      *command.store,
      ": there is no set '",
      options.check,
      "' with multi-hop cases; 'errata store show' lists the sets");
  const editing::Knowledge knowledge = editing::load_knowledge(store);
  const World before(knowledge, from);
  const World after(knowledge, to);
  const editing::Wordings wordings(knowledge);
  MultiHopReport report;
  const auto cases =
      editing::build_multi_hop(before, after, wordings, store.diff(from, to), wanted, report);
  const auto reached = editing::check_reached(written, cases, after, wanted, report);
  if (!options.out.empty()) {
    write_file(options.out, case_lines(cases));
  }
  const editing::SetChange change =
      options.set.empty() ? editing::SetChange() : store.put_multi_hop(options.set, cases);
  if (command.common->json) {
    OrderedJson json = {{"from", to_string(from)}, {"to", to_string(to)}, {"cases", cases.size()}};
    json["kinds"] = kinds(cases);
    json["walk"] = report_json(report);
    if (!options.set.empty()) {
      json["set"] = {
          {"name", options.set}, {"added", change.added}, {"superseded", change.superseded}};
    }
    if (!options.out.empty()) {
      json["out"] = options.out;
    }
    if (!options.check.empty()) {
      json["check"] = check_json(reached);
    }
    print_json(streams.out, json);
    return;
  }
  print_cases(cases, report, streams.out);
  if (!options.check.empty()) {
    print_check(options.check, reached, streams.out);
  }
  if (!options.set.empty()) {
    streams.out << "set " << options.set << ": " << change.added << " new, " << change.superseded
                << " corrected\n";
  }
  if (!options.out.empty()) {
    streams.out << "wrote " << options.out << '\n';
  }
  streams.out << counted(static_cast<long long>(cases.size()), "case") << '\n';
}

} // namespace

void add_store_multihop(CLI::App& store, const Streams& streams) {
  const StoreCommand command =
      add_store_command(store, "multihop", "Makes multi-hop cases from the facts of two days");
  const auto options = std::make_shared<BuildOptions>();
  command.app->add_option("--from", options->from, "Day before: YYYY[-MM[-DD]]")->required();
  command.app->add_option("--to", options->to, "Day after")->required();
  command.app->add_option("--hops", options->hops, "2 to 4, as 3 or 2-4")->capture_default_str();
  command.app->add_option("--which", options->which, "Cases whose answer changed, or stayed")
      ->check(CLI::IsMember({"all", "changed", "unchanged"}))
      ->capture_default_str();
  command.app->add_option("--relation", options->relations, "Only through these relations");
  command.app->add_option("--questions", options->questions, "Wordings of each, at most")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  command.app
      ->add_option(
          "--limit", options->limit, "At most so many, drawn evenly over kinds by --seed; 0: all")
      ->capture_default_str();
  command.app->add_option("--set", options->set, "Keep them in the store as this set");
  command.app->add_option("--out", options->out, "Write them as JSON lines");
  command.app->add_option(
      "--check", options->check, "Compare with the cases of this set; name what was not reached");
  command.app->footer(
      "Every step has one value on its day and every inverse one holder; no question shows its\n"
      "answer. The file has the shape of docs/formats/facts.md and imports with --format "
      "multihop.\n"
      "Examples:\n"
      "  errata store multihop --store facts.db --from 2021-01-31 --to 2026-01-22 --out "
      "cases.jsonl\n"
      "  errata store multihop --store facts.db --from 2021 --to 2026 --hops 2-3 --which changed "
      "\\\n"
      "    --limit 500 --seed 7 --set mine\n"
      "  errata store multihop --store facts.db --from 2021-01-31 --to 2026-01-22 --check "
      "factbook");
  command.app->callback([=] { build(command, *options, streams); });
}

} // namespace errata::cli
