#include "core/base/error.h"
#include "eval/task_builder.h"

#include <set>

// Tasks of edits given outright and of a model of one day.

namespace errata::eval {
namespace {

using datasets::ExplicitEdit;
using datasets::MultiHopCase;
using datasets::Probe;

std::vector<std::string> accepted(const ExplicitEdit& edit) {
  std::vector<std::string> answers = {edit.target_new};
  answers.insert(answers.end(), edit.target_aliases.begin(), edit.target_aliases.end());
  return answers;
}

// Prompts that somebody else wrote are asked as they are.
Task explicit_task(
    Part part,
    const ExplicitEdit& edit,
    const std::string& prompt,
    std::vector<std::string> answers,
    int number) {
  Task task;
  task.part = part;
  task.prompt = prompt;
  task.answers = std::move(answers);
  task.item = part == Part::kKept ? concat(edit.id, '#', number) : edit.id;
  task.cluster = edit.id;
  task.wording = number;
  task.changed = part != Part::kKept;
  task.teacher_forced = part == Part::kReliability;
  const bool same_answer = part != Part::kKept && part != Part::kPortability;
  if (same_answer && !edit.target_true.empty()) {
    task.stale = only_before({edit.target_true}, task.answers);
  }
  return task;
}

void add_probes(
    TaskBuilder& builder, Part part, const ExplicitEdit& edit, const std::vector<Probe>& probes) {
  int number = 0;
  for (const Probe& probe : probes) {
    if (!probe.answers.empty()) {
      Task task = explicit_task(part, edit, probe.prompt, probe.answers, number++);
      task.kind = probe.kind.empty() ? "probe" : probe.kind;
      builder.add(std::move(task));
    }
  }
}

void add_explicit_edits(
    TaskBuilder& builder, const editing::EditPlan& plan, const TaskOptions& options) {
  const auto key = [](const ExplicitEdit& edit) { return edit.id; };
  for (const ExplicitEdit& edit : sample(plan.explicit_edits, options.limit, key)) {
    if (builder.wants(Suite::kEditing)) {
      builder.add(explicit_task(Part::kReliability, edit, edit.prompt, accepted(edit), 0));
      int number = 0;
      for (const std::string& paraphrase : edit.paraphrases) {
        builder.add(explicit_task(Part::kWording, edit, paraphrase, accepted(edit), number++));
      }
      add_probes(builder, Part::kPortability, edit, edit.portability);
    }
    if (builder.wants(Suite::kLocality)) {
      add_probes(builder, Part::kKept, edit, edit.locality);
    }
  }
}

// The cases, and each of their edits once, in the prompt that it was made with (MQuAKE's edit-wise
// accuracy). Returns the cases that a limit leaves.
std::vector<MultiHopCase> add_explicit_cases(
    TaskBuilder& builder, const editing::EditPlan& plan, const TaskOptions& options) {
  if (!builder.wants(Suite::kMultihop) || plan.cases.empty()) {
    return {};
  }
  std::vector<MultiHopCase> cases =
      sample(plan.cases, options.limit, [](const MultiHopCase& item) { return item.id; });
  std::set<std::string> edited;
  for (const MultiHopCase& item : cases) {
    builder.add_case(item);
    edited.insert(item.edit_ids.begin(), item.edit_ids.end());
  }
  for (const ExplicitEdit& edit : plan.explicit_edits) {
    if (edited.contains(edit.id)) {
      builder.add(explicit_task(Part::kEdit, edit, edit.prompt, accepted(edit), 0));
    }
  }
  return cases;
}

} // namespace

std::vector<Task> make_tasks(const editing::EditPlan& plan, const TaskOptions& options) {
  TaskBuilder builder(options);
  add_explicit_edits(builder, plan, options);
  add_explicit_cases(builder, plan, options);
  return builder.take();
}

std::vector<Task> make_set_tasks(
    const editing::EditPlan& plan,
    const editing::Knowledge& vocabulary,
    const editing::Wordings& wordings,
    const TaskOptions& options) {
  TaskBuilder builder(options);
  add_explicit_edits(builder, plan, options);
  for (const MultiHopCase& item : add_explicit_cases(builder, plan, options)) {
    for (const datasets::Hop& hop : item.chain_new) {
      if (vocabulary.find_relation(hop.relation) == nullptr || editing::is_inverse(hop.relation)) {
        continue;
      }
      std::vector<std::string> answers = {hop.object};
      const auto names = vocabulary.aliases.find(hop.object);
      if (names != vocabulary.aliases.end()) {
        answers.insert(answers.end(), names->second.begin(), names->second.end());
      }
      builder.add_fact(
          Part::kHop, hop, wordings.questions(hop.subject, hop.relation).front(), answers);
    }
  }
  return builder.take();
}

std::vector<Task> make_tasks(
    const editing::PretrainPlan& plan,
    const editing::Knowledge& knowledge,
    const editing::Wordings& wordings,
    const TaskOptions& options) {
  const editing::World world(knowledge, plan.day);
  TaskBuilder builder(options);
  if (builder.wants(Suite::kFacts)) {
    const auto key = [](const datasets::Hop& fact) { return item_of(fact); };
    const auto add_facts = [&](Part part, const std::vector<datasets::Hop>& facts) {
      for (const datasets::Hop& fact : sample(facts, options.limit, key)) {
        builder.add_fact(
            part,
            fact,
            wordings.held_out_question(fact.subject, fact.relation),
            world.answers(fact));
      }
    };
    add_facts(Part::kSingle, plan.single);
    add_facts(Part::kInverse, plan.inverse);
  }
  if (builder.wants(Suite::kMultihop)) {
    const auto case_key = [](const datasets::MultiHopCase& item) { return item.id; };
    // Each case is asked for its answer on this day.
    auto cases =
        sample(options.development ? plan.development_cases : plan.cases, options.limit, case_key);
    for (datasets::MultiHopCase& item : cases) {
      if (!item.answer.empty()) {
        item.new_answer = item.answer;
        item.new_answer_aliases = item.answer_aliases;
        item.chain_new = item.chain;
      }
      item.changed = false;
      item.edited_hop.clear();
    }
    builder.add_cases(cases, world, wordings);
  }
  if (builder.wants(Suite::kHistory)) {
    builder.add_history(plan.history, wordings);
  }
  return builder.take();
}

} // namespace errata::eval
