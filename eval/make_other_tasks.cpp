#include "core/base/error.h"
#include "eval/task_builder.h"

// Tasks of edits given outright and of a model of one day.

namespace errata::eval {

std::vector<Task> make_tasks(const editing::EditPlan& plan, const TaskOptions& options) {
  TaskBuilder builder(options);
  const auto add = [&](Part part,
                       const datasets::ExplicitEdit& edit,
                       const std::string& prompt,
                       std::vector<std::string> answers,
                       int number) {
    Task task;
    task.part = part;
    task.prompt = prompt;
    task.answers = std::move(answers);
    if (part != Part::kKept && !edit.target_true.empty()) {
      task.stale = only_before({edit.target_true}, task.answers);
    }
    task.changed = part != Part::kKept;
    task.item = part == Part::kKept ? concat(edit.id, '#', number) : edit.id;
    task.cluster = edit.id;
    task.kind = part == Part::kKept ? "probe" : "";
    task.wording = number;
    task.teacher_forced = part == Part::kReliability;
    builder.add(std::move(task));
  };
  const auto key = [](const datasets::ExplicitEdit& edit) { return edit.id; };
  for (const auto& edit : sample(plan.explicit_edits, options.limit, key)) {
    if (builder.wants(Suite::kEditing)) {
      add(Part::kReliability, edit, edit.prompt, {edit.target_new}, 0);
      int number = 0;
      for (const std::string& paraphrase : edit.paraphrases) {
        add(Part::kWording, edit, paraphrase, {edit.target_new}, number++);
      }
    }
    if (builder.wants(Suite::kLocality)) {
      int number = 0;
      for (const datasets::Probe& probe : edit.locality) {
        add(Part::kKept, edit, probe.prompt, probe.answers, number++);
      }
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
