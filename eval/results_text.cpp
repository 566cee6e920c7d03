#include "core/base/json.h"
#include "eval/figure_text.h"
#include "eval/metric_names.h"
#include "eval/results.h"

#include <algorithm>
#include <utility>

namespace errata::eval {
namespace {

std::string padded(std::string text, std::size_t width, bool left) {
  if (text.size() < width) {
    text.insert(left ? text.size() : 0, width - text.size(), ' ');
  }
  return text;
}

// The question itself: between "Question:" and the next line.
std::string question_of(const std::string& prompt) {
  constexpr std::string_view kLead = "Question: ";
  std::string text = prompt.rfind(kLead, 0) == 0 ? prompt.substr(kLead.size()) : prompt;
  return text.substr(0, text.find('\n'));
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "(nothing)" : text.substr(first);
}

// What a model said, cut where it goes on and on.
std::string said(const Output& output) {
  constexpr std::size_t kShown = 240;
  std::string text = one_line(output.text);
  const bool cut = text.size() > kShown;
  if (cut) {
    std::size_t end = kShown;
    while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
      --end; // not inside a character
    }
    text.resize(end);
  }
  return text + (cut || output.ending == Ending::kLength ? " ..." : "");
}

std::string example(const Evaluation& evaluation, std::size_t at) {
  const Task& task = evaluation.tasks[at];
  std::string text = "  " + question_of(task.prompt) + "\n";
  text += "    expected  " + (task.answers.empty() ? "" : task.answers.front()) + "\n";
  text += "    before    " + said(evaluation.before[at]) + "\n";
  if (evaluation.has_after()) {
    text += "    after     " + said(evaluation.after[at]) + "\n";
  }
  return text;
}

// Examples of different cases, so that three are not one case in three wordings.
std::string examples(
    const Evaluation& evaluation,
    const std::vector<std::size_t>& tasks,
    std::size_t count,
    const std::string& title) {
  std::string text;
  std::vector<std::string> shown;
  for (const std::size_t at : tasks) {
    const std::string& item = evaluation.tasks[at].item;
    if (shown.size() == count) {
      break;
    }
    if (std::find(shown.begin(), shown.end(), item) == shown.end()) {
      shown.push_back(item);
      text += example(evaluation, at);
    }
  }
  return concat(title, " (", tasks.size(), tasks.empty() ? ")\n" : "), for example\n", text);
}

// Smaller is shown earlier.
int interest(const Task& task) {
  if (task.part == Part::kCase) {
    return task.mode == Mode::kReasoning ? 0 : 2;
  }
  return task.part == Part::kReliability ? 1 : suite_of(task.part) == Suite::kLocality ? 3 : 4;
}

} // namespace

std::string results_table(const OrderedJson& results) {
  const OrderedJson& before = results.at("metrics").at("before");
  const OrderedJson& after = results.at("metrics").at("after");
  const bool both = !after.is_null();
  std::string text = padded("percent right", 45, true) + padded(both ? "before" : "", 8, false) +
                     padded(both ? "after" : "value", 8, false) + padded("95 %", 15, false) +
                     padded("n", 6, false) + "\n";
  for (const MetricName& row : metric_names()) {
    const OrderedJson* base = find_path(before, row.path);
    const OrderedJson* edited = both ? find_path(after, row.path) : base;
    if (edited == nullptr || !row.brief) {
      continue;
    }
    text += padded(std::string(row.path.substr(0, row.path.find('.'))), 10, true) +
            padded(std::string(row.name), 35, true) +
            padded(both ? percent_text(base) : "", 8, false) +
            padded(percent_text(edited), 8, false) + padded(interval_text(edited), 15, false) +
            padded(concat(edited->at("n").get<std::int64_t>()), 6, false) + "\n";
  }
  return text;
}

std::vector<std::size_t> changed_tasks(const Evaluation& evaluation, bool gained) {
  std::vector<std::size_t> tasks;
  for (std::size_t i = 0; evaluation.has_after() && i < evaluation.tasks.size(); ++i) {
    const bool before = evaluation.before_verdicts[i].right;
    const bool after = evaluation.after_verdicts[i].right;
    if (before != after && after == gained) {
      tasks.push_back(i);
    }
  }
  std::stable_sort(tasks.begin(), tasks.end(), [&](std::size_t a, std::size_t b) {
    return interest(evaluation.tasks[a]) < interest(evaluation.tasks[b]);
  });
  return tasks;
}

std::string examples_text(const Evaluation& evaluation, std::size_t count) {
  if (evaluation.has_after()) {
    return examples(evaluation, changed_tasks(evaluation, true), count, "Gained") + "\n" +
           examples(evaluation, changed_tasks(evaluation, false), count, "Lost");
  }
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < evaluation.tasks.size(); ++i) {
    if (!evaluation.before_verdicts[i].right) {
      wrong.push_back(i);
    }
  }
  return examples(evaluation, wrong, count, "Wrong");
}

} // namespace errata::eval
