#include "cli/edit_setup.h"

#include "cli/text_table.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "datasets/readers.h"
#include "editing/plan/text_documents.h"

#include <algorithm>
#include <map>

namespace errata::cli {
namespace {

void check_source(const EditBatchOptions& options) {
  const bool days = !options.from.empty() && !options.to.empty();
  ERRATA_CHECK(
      options.set.empty() || !options.store.empty(),
      ErrorCode::kInvalidArgument,
      "--set names a set of a store; give --store");
  ERRATA_CHECK(
      options.store.empty() != options.edits.empty(),
      ErrorCode::kInvalidArgument,
      options.store.empty()
          ? "no edits: give --store with --from and --to or with --set, or --edits FILE"
          : "--store and --edits are both given; give one of them");
  ERRATA_CHECK(
      options.batches.empty() || (!options.store.empty() && options.set.empty()),
      ErrorCode::kInvalidArgument,
      "--batches cuts the difference of two days; it works with --store, --from and --to, not "
      "with prompts given outright");
  ERRATA_CHECK(
      options.store.empty() ||
          (options.set.empty() ? days : options.from.empty() && options.to.empty()),
      ErrorCode::kInvalidArgument,
      options.set.empty() ? "--store needs both --from and --to, or --set"
                          : "--set and days are both given; give one of them");
}

editing::AugmentOptions resolve_augment(const EditBatchOptions& options) {
  // LocFT-BF is its loop alone, and prompts given outright have no wordings to draw from.
  const bool plain =
      !options.edits.empty() || !options.set.empty() || options.editor.method == "ft-locft";
  editing::AugmentOptions augment =
      options.augment.empty()
          ? (plain ? editing::AugmentOptions::none() : editing::AugmentOptions())
          : editing::parse_augment(options.augment);
  if (options.rehearsal_ratio >= 0) {
    augment.rehearsal_ratio = options.rehearsal_ratio;
  }
  if (options.ripple_ratio >= 0) {
    augment.ripple_ratio = options.ripple_ratio;
  }
  if (options.echo_ratio >= 0) {
    augment.echo_ratio = options.echo_ratio;
  }
  return augment;
}

// Tells what else came with a left-out value: its own facts are edits of their own.
void name_followers(
    const EditSetup& setup,
    const std::vector<datasets::Edit>& edits,
    const std::vector<std::string>& left_out) {
  const std::vector<datasets::Edit> written = setup.left_out.rest(edits);
  for (const datasets::Edit& edit : edits) {
    if (!edit.new_object ||
        std::find(left_out.begin(), left_out.end(), edit.id) == left_out.end()) {
      continue;
    }
    for (const datasets::Edit& other : written) {
      if (other.subject == *edit.new_object) {
        log(LogLevel::kInfo,
            concat(
                "still written: ",
                other.id,
                ", ",
                other.relation,
                " of ",
                other.subject,
                "; it can be left out as well"));
      }
    }
  }
}

void leave_out(
    const EditBatchOptions& options, const Date& from, const Date& to, EditSetup& setup) {
  if (options.without.empty()) {
    return;
  }
  const std::vector<datasets::Edit> edits = setup.store->diff(from, to);
  setup.left_out =
      editing::LeftOut(setup.knowledge, edits, {options.without.begin(), options.without.end()});
  setup.left_out.hold_still(setup.knowledge, from);
  name_followers(setup, edits, options.without);
}

void plan_from_store(const EditBatchOptions& options, EditSetup& setup) {
  const Date from = parse_date(options.from, "--from");
  const Date to = parse_date(options.to, "--to");
  setup.store = editing::EditStore::open(options.store);
  setup.source_hash = setup.store->content_hash();
  setup.knowledge = editing::load_knowledge(*setup.store);
  leave_out(options, from, to, setup);
  editing::PlanOptions plan;
  plan.rehearsal_share = options.rehearsal_share;
  plan.fold = options.fold;
  setup.plan = editing::make_edit_plan(setup.knowledge, from, to, setup.difference(from, to), plan);
  if (!options.batches.empty()) {
    setup.batches = editing::batch_spans(setup.knowledge, from, to, options.batches);
    editing::drop_passing_changes(setup.plan, setup.knowledge, setup.batches);
  }
}

void plan_from_set(const EditBatchOptions& options, EditSetup& setup) {
  setup.store = editing::EditStore::open(options.store);
  setup.source_hash = setup.store->content_hash();
  setup.set = options.set;
  setup.knowledge = editing::load_vocabulary(*setup.store);
  setup.plan = editing::make_set_plan(*setup.store, options.set, options.without);
  const auto conflicts = setup.store->set_conflicts(options.set);
  if (!conflicts.empty()) {
    log(LogLevel::kWarning,
        concat(
            counted(static_cast<long long>(conflicts.size()), "conflict"),
            " in set ",
            options.set,
            ": edits that contradict each other or the chains of cases; their figures cannot reach "
            "100 %"));
  }
}

// One prompt with two answers, which no model can give.
void warn_of_contradictions(const std::vector<datasets::ExplicitEdit>& edits) {
  std::map<std::string, const datasets::ExplicitEdit*> by_prompt;
  std::size_t contradictions = 0;
  std::string example;
  for (const datasets::ExplicitEdit& edit : edits) {
    const auto [first, fresh] = by_prompt.emplace(edit.prompt, &edit);
    const datasets::ExplicitEdit& other = *first->second;
    if (!fresh && other.target_new != edit.target_new && contradictions++ == 0) {
      example = concat(other.id, " and ", edit.id);
    }
  }
  if (contradictions > 0) {
    log(LogLevel::kWarning,
        concat(
            counted(static_cast<long long>(contradictions), "edit"),
            " with the prompt of an earlier one and another answer (",
            example,
            "): figures cannot reach 100 %; keep one of each"));
  }
}

// In batches a recipe's projection has nothing to be measured on without unchanged facts.
void drop_unfounded_terms(const EditorFlags& flags, EditSetup& setup) {
  if (!flags.null_space && !setup.batches.empty() && setup.rehearses_nothing()) {
    setup.editor.null_space = 0;
  }
}

void read_stats_text(const EditBatchOptions& options, EditSetup& setup) {
  if (options.stats_text.empty()) {
    return;
  }
  ERRATA_CHECK(
      editing::solves(setup.editor) || setup.measures_inputs(),
      ErrorCode::kInvalidArgument,
      "--stats-text is what memit, alphaedit, rome, --null-space and --init eva measure; --method ",
      setup.editor.method,
      " as it is set does not");
  ERRATA_CHECK(
      setup.batches.empty(),
      ErrorCode::kInvalidArgument,
      "--stats-text is not for --batches, each of which measures its own unchanged facts");
  setup.stats_text = std::make_shared<const std::vector<editing::Document>>(
      editing::read_paragraphs(options.stats_text));
  for (const std::string& file : options.stats_text) {
    setup.stats_text_sha256.push_back(sha256_file(file));
  }
}

// With prompts given outright the data of the locality terms do not exist.
void check_terms(const EditSetup& setup) {
  const auto& editor = setup.editor;
  const bool rehearses = setup.augment.rehearsal && !setup.given_outright();
  ERRATA_CHECK(
      editor.kl == 0 || editing::solves(editor) || (rehearses && editor.steps > 0),
      ErrorCode::kInvalidArgument,
      "--kl needs rehearsal texts: a store, --augment with rehearsal, and --steps");
  ERRATA_CHECK(
      !editing::solves(editor) || editor.method == "rome" || setup.stats_text ||
          !setup.given_outright(),
      ErrorCode::kInvalidArgument,
      "--method ",
      editor.method,
      " needs to know what must stay; give --stats-text FILE, or a store with --from and --to");
  ERRATA_CHECK(
      setup.batches.empty() || (editor.method == "lora" && editor.kl == 0),
      ErrorCode::kInvalidArgument,
      "--batches goes on training one LoRA, away from the base; use --method lora without --kl");
  ERRATA_CHECK(
      editor.epochs == 0 || setup.augment.is_none(),
      ErrorCode::kInvalidArgument,
      "--epochs goes over the edits' own prompts; use it with --augment none, or use --steps");
}

std::string batches_text(const EditSetup& setup) {
  std::string text = concat("Batches    ", setup.batches.size(), ", one after the other\n");
  for (const editing::BatchSpan& span : setup.batches) {
    text += concat("             to ", to_string(span.to), ": ", span.edits, " edits\n");
  }
  return text;
}

} // namespace

std::unique_ptr<EditSetup> prepare_edits(const EditBatchOptions& options, std::uint64_t seed) {
  check_source(options);
  auto setup = std::make_unique<EditSetup>();
  setup->augment = resolve_augment(options);
  setup->editor = resolve(options.editor, seed, !options.edits.empty() || !options.set.empty());
  if (!options.set.empty()) {
    plan_from_set(options, *setup);
  } else if (options.edits.empty()) {
    plan_from_store(options, *setup);
  } else {
    setup->plan = editing::make_edit_plan(datasets::read_explicit_edits(options.edits));
    setup->source_hash = sha256_file(options.edits);
    warn_of_contradictions(setup->plan.explicit_edits);
  }
  setup->wordings = std::make_unique<editing::Wordings>(setup->knowledge);
  read_stats_text(options, *setup);
  drop_unfounded_terms(options.editor, *setup);
  check_terms(*setup);
  if (editing::solves(setup->editor)) { // an edit without its subject is refused before all else
    editing::edit_requests(setup->plan, *setup->wordings, 1);
  }
  return setup;
}

std::vector<eval::Task> edit_tasks(const EditSetup& setup, const EditBatchOptions& options) {
  const eval::TaskOptions tasks = task_options(options.questions);
  if (!setup.set.empty()) {
    return eval::make_set_tasks(setup.plan, setup.knowledge, *setup.wordings, tasks);
  }
  return setup.given_outright()
             ? eval::make_tasks(setup.plan, tasks)
             : eval::make_tasks(setup.plan, setup.knowledge, *setup.wordings, tasks);
}

nlohmann::ordered_json resolved_options(
    const EditSetup& setup, const EditBatchOptions& options, const CommonOptions& common) {
  OrderedJson json = {{"command", "edit-batch"}, {"model", options.model}};
  if (!setup.set.empty()) {
    json["store"] = options.store;
    json["set"] = options.set;
  } else if (setup.given_outright()) {
    json["edits"] = options.edits;
  } else {
    json["store"] = options.store;
    json["from"] = options.from;
    json["to"] = options.to;
    json["rehearsal-share"] = options.rehearsal_share;
    json["fold"] = options.fold;
  }
  json["source_sha256"] = setup.source_hash;
  if (!options.without.empty()) {
    json["without"] = options.without;
  }
  if (!setup.batches.empty()) {
    json["batches"] = options.batches;
  }
  if (!options.stats_text.empty()) {
    json["stats-text"] = options.stats_text;
    json["stats_text_sha256"] = setup.stats_text_sha256;
  }
  json["augment"] = editing::to_string(setup.augment);
  json["rehearsal-ratio"] = setup.augment.rehearsal_ratio;
  json["ripple-ratio"] = setup.augment.ripple_ratio;
  json["echo-ratio"] = setup.augment.echo_ratio;
  json.update(editing::to_json(setup.editor));
  json["device"] = common.device;
  json["dtype"] = common.dtype;
  if (!options.no_eval) {
    json["suite"] = options.questions.suite;
    json["prompting"] = options.questions.prompting;
    json["wordings"] = options.questions.wordings;
    json["limit"] = options.questions.limit;
    json["development"] = options.questions.development;
  }
  return json;
}

nlohmann::ordered_json batches_json(const EditSetup& setup) {
  OrderedJson json = OrderedJson::array();
  for (const editing::BatchSpan& span : setup.batches) {
    json.push_back(
        {{"from", to_string(span.from)},
         {"to", to_string(span.to)},
         {"edits", span.edits},
         {"steps", editing::batch_steps(span, setup.batches, setup.editor.steps)}});
  }
  return json;
}

std::string plan_text(const EditSetup& setup) {
  const editing::EditPlan& plan = setup.plan;
  if (setup.given_outright()) {
    std::string text =
        concat("Edits      ", plan.explicit_edits.size(), " given by their prompts\n");
    if (!plan.cases.empty()) {
      text += concat("Multi-hop  ", plan.cases.size(), " cases to judge by\n");
    }
    return text;
  }
  std::map<std::string, std::size_t> relations;
  for (const editing::EditedSlot& slot : plan.slots) {
    ++relations[slot.fact.relation];
  }
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [name, count] : relations) {
    order.emplace_back(count, name);
  }
  std::sort(order.rbegin(), order.rend());
  std::string text = concat(
      "Edits      ",
      plan.slots.size(),
      " changed facts, ",
      to_string(plan.from),
      " to ",
      to_string(plan.to),
      '\n');
  for (const auto& [count, name] : order) {
    text += concat("             ", count, ' ', name, '\n');
  }
  text += concat(
      "           ",
      plan.injected.size(),
      " facts that came with them, ",
      plan.injected_inverse.size(),
      " inverse look-ups\n",
      "Rehearsal  ",
      plan.rehearsed.size(),
      " of ",
      plan.rehearsed.size() + plan.kept.size(),
      " unchanged facts; the other ",
      plan.kept.size(),
      " measure locality\n",
      "Multi-hop  ",
      plan.ripple_chains.size(),
      " chains through edits to train on, ",
      plan.cases.size(),
      " held-out cases to judge by\n");
  return setup.batches.empty() ? text : text + batches_text(setup);
}

} // namespace errata::cli
