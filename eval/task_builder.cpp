#include "eval/task_builder.h"

#include "core/base/error.h"
#include "eval/normalise.h"

#include <cstddef>

namespace errata::eval {
namespace {

std::vector<std::string> joined(std::string first, const std::vector<std::string>& rest) {
  std::vector<std::string> all{std::move(first)};
  for (const std::string& text : rest) {
    if (std::find(all.begin(), all.end(), text) == all.end()) {
      all.push_back(text);
    }
  }
  return all;
}

} // namespace

std::vector<std::string> only_before(
    std::vector<std::string> before, const std::vector<std::string>& now) {
  std::erase_if(before, [&](const std::string& answer) { return matches(answer, now); });
  return before;
}

void TaskBuilder::add(Task task) {
  task.id =
      concat(to_string(task.part), '/', to_string(task.mode), '/', task.wording, '/', task.item);
  if (ids_.insert(task.id).second) {
    tasks_.push_back(std::move(task));
  }
}

void TaskBuilder::add_fact(
    Part part,
    const datasets::Hop& fact,
    const std::string& question,
    std::vector<std::string> answers,
    std::vector<std::string> stale,
    std::string kind,
    int wording) {
  Task task;
  task.part = part;
  task.prompt = editing::direct_prompt(question);
  task.stale = only_before(std::move(stale), answers);
  task.answers = std::move(answers);
  task.item = item_of(fact);
  task.cluster = fact.subject;
  task.kind = std::move(kind);
  task.wording = wording;
  task.changed = !task.stale.empty();
  task.teacher_forced = part == Part::kReliability;
  add(std::move(task));
}

void TaskBuilder::add_case(const datasets::MultiHopCase& item) {
  const std::size_t count =
      std::min(item.questions.size(), static_cast<std::size_t>(std::max(options_.wordings, 1)));
  for (const Mode mode : options_.modes) {
    for (std::size_t wording = 0; wording < count; ++wording) {
      const std::string& question = item.questions[wording];
      Task task;
      task.part = Part::kCase;
      task.mode = mode;
      task.prompt = mode == Mode::kDirect ? editing::direct_prompt(question)
                                          : editing::reasoning_prompt(question);
      task.answers = joined(item.new_answer, item.new_answer_aliases);
      task.defined_before = !item.answer.empty();
      if (item.changed && task.defined_before) {
        task.stale = only_before(joined(item.answer, item.answer_aliases), task.answers);
      }
      task.item = item.id;
      task.cluster = item.id;
      task.kind = item.edited_hop;
      task.wording = static_cast<int>(wording);
      task.changed = item.changed;
      task.chain = item.chain_new;
      add(std::move(task));
    }
  }
}

void TaskBuilder::add_cases(
    const std::vector<datasets::MultiHopCase>& cases,
    const editing::World& world,
    const editing::Wordings& wordings) {
  for (const datasets::MultiHopCase& item : cases) {
    add_case(item);
  }
  for (const datasets::MultiHopCase& item : cases) {
    for (const datasets::Hop& hop : item.chain_new) {
      add_fact(
          Part::kHop,
          hop,
          wordings.held_out_question(hop.subject, hop.relation),
          world.answers(hop));
    }
  }
}

void TaskBuilder::add_history(
    const std::vector<editing::HistoryItem>& items, const editing::Wordings& wordings) {
  const auto key = [](const editing::HistoryItem& item) {
    return concat(item_of(item.fact), '|', item.year);
  };
  for (const editing::HistoryItem& item : sample(items, options_.limit, key)) {
    Task task;
    task.part = Part::kYear;
    task.prompt = editing::direct_prompt(
        wordings.held_out_dated_question(item.fact.subject, item.fact.relation, item.year));
    task.answers = item.answers;
    task.item = key(item);
    task.cluster = item.fact.subject;
    task.kind = item.trained ? "rehearsed" : "held_out";
    task.changed = item.edited;
    add(std::move(task));
  }
}

} // namespace errata::eval
