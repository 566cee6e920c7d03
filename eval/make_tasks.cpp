#include "core/base/error.h"
#include "eval/normalise.h"
#include "eval/task_builder.h"

#include <map>
#include <optional>

namespace errata::eval {
namespace {

using datasets::Hop;
using datasets::MultiHopCase;
using editing::Knowledge;
using editing::Wordings;
using editing::World;

// A slot as a sentence that ends before its object. Nothing where no statement ends with it.
std::optional<std::string> completion_prompt(const Wordings& wordings, const Hop& fact) {
  Random random(stable_hash("statement|" + item_of(fact)));
  for (int attempt = 0; attempt < 16; ++attempt) {
    const editing::Document document = wordings.object_document(fact, random);
    if (document.prompt != editing::kFactPrompt && matches(document.completion, {fact.object})) {
      return document.prompt;
    }
  }
  return std::nullopt;
}

std::string key_of_fact(const Hop& fact) {
  return item_of(fact);
}

void add_editing(
    TaskBuilder& builder,
    const editing::EditPlan& plan,
    const World& before,
    const World& after,
    const Wordings& wordings) {
  const std::size_t limit = builder.limit();
  const auto slots = sample(plan.slots, limit, [](const auto& slot) { return item_of(slot.fact); });
  for (const editing::EditedSlot& slot : slots) {
    const Hop& fact = slot.fact;
    builder.add_fact(
        Part::kReliability,
        fact,
        wordings.held_out_question(fact.subject, fact.relation),
        slot.answers,
        slot.old_answers);
    int number = 0;
    for (const std::string& question : wordings.questions(fact.subject, fact.relation)) {
      builder.add_fact(
          Part::kWording, fact, question, slot.answers, slot.old_answers, {}, number++);
    }
    if (const auto prompt = completion_prompt(wordings, fact)) {
      Task task;
      task.part = Part::kStatement;
      task.prompt = *prompt;
      task.answers = slot.answers;
      task.stale = only_before(slot.old_answers, slot.answers);
      task.changed = !task.stale.empty();
      task.item = item_of(fact);
      task.cluster = fact.subject;
      builder.add(std::move(task));
    }
  }
  const auto add_new = [&](Part part, const std::vector<Hop>& facts) {
    for (const Hop& fact : sample(facts, limit, key_of_fact)) {
      builder.add_fact(
          part,
          fact,
          wordings.held_out_question(fact.subject, fact.relation),
          after.answers(fact),
          before.answers(fact));
    }
  };
  add_new(Part::kNewFact, plan.injected);
  add_new(Part::kNewInverse, plan.injected_inverse);
}

void add_locality(
    TaskBuilder& builder,
    const editing::EditPlan& plan,
    const World& after,
    const Wordings& wordings) {
  const std::size_t limit = builder.limit();
  const auto add_kept = [&](const std::vector<editing::KeptFact>& facts, bool inverse) {
    for (const auto& kept :
         sample(facts, limit, [](const auto& fact) { return item_of(fact.fact); })) {
      builder.add_fact(
          Part::kKept,
          kept.fact,
          wordings.held_out_question(kept.fact.subject, kept.fact.relation),
          kept.answers,
          {},
          inverse ? "inverse" : std::string(editing::to_string(kept.kind)));
    }
  };
  const auto add_rehearsed = [&](const std::vector<Hop>& facts, const char* kind) {
    for (const Hop& fact : sample(facts, limit, key_of_fact)) {
      builder.add_fact(
          Part::kRehearsed,
          fact,
          wordings.held_out_question(fact.subject, fact.relation),
          after.answers(fact),
          {},
          kind);
    }
  };
  add_kept(plan.kept, false);
  add_kept(plan.kept_inverse, true);
  add_rehearsed(plan.rehearsed, "forward");
  add_rehearsed(plan.rehearsed_inverse, "inverse");
}

// Unique edited facts of the cases, asked as they were trained (metrics: edit-wise).
void add_edits_of_cases(
    TaskBuilder& builder,
    const std::vector<MultiHopCase>& cases,
    const editing::EditPlan& plan,
    const Wordings& wordings) {
  std::map<std::string, const editing::EditedSlot*> edited;
  for (const editing::EditedSlot& slot : plan.slots) {
    edited.emplace(item_of(slot.fact), &slot);
  }
  for (const MultiHopCase& item : cases) {
    for (const Hop& hop : item.chain_new) {
      const auto found = edited.find(item_of(hop));
      if (found == edited.end()) {
        continue;
      }
      const auto questions = wordings.training_questions(hop.subject, hop.relation);
      builder.add_fact(
          Part::kEdit,
          hop,
          questions.empty() ? wordings.held_out_question(hop.subject, hop.relation)
                            : questions.front(),
          found->second->answers,
          found->second->old_answers);
    }
  }
}

std::string key_of_case(const MultiHopCase& item) {
  return item.id;
}

} // namespace

std::vector<Task> make_tasks(
    const editing::EditPlan& plan,
    const Knowledge& knowledge,
    const Wordings& wordings,
    const TaskOptions& options) {
  if (!plan.explicit_edits.empty()) {
    return make_tasks(plan, options);
  }
  const World before(knowledge, plan.from);
  const World after(knowledge, plan.to);
  TaskBuilder builder(options);
  if (builder.wants(Suite::kEditing)) {
    add_editing(builder, plan, before, after, wordings);
  }
  if (builder.wants(Suite::kLocality)) {
    add_locality(builder, plan, after, wordings);
  }
  if (builder.wants(Suite::kMultihop)) {
    const auto cases = sample(
        options.development ? plan.development_cases : plan.cases, options.limit, key_of_case);
    builder.add_cases(cases, after, wordings);
    add_edits_of_cases(builder, cases, plan, wordings);
  }
  if (builder.wants(Suite::kHistory)) {
    builder.add_history(plan.history, wordings);
  }
  return builder.take();
}

} // namespace errata::eval
