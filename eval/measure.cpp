#include "eval/measure.h"

#include "core/base/error.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace errata::eval {
namespace {

struct Answers {
  const std::vector<Task>& tasks;
  const std::vector<Output>& outputs;
  const std::vector<Verdict>& verdicts;
  const std::vector<Verdict>& base;
};

// Metrics in the order of their declaration.
class Collector : public Answers {
 public:
  explicit Collector(const Answers& answers) : Answers(answers) {}

  void declare(Metric metric) {
    if (places_.emplace(metric.path, metrics_.size()).second) {
      metrics_.push_back(std::move(metric));
    }
  }
  void observe(const std::string& path, const Task& task, double value) {
    const auto place = places_.find(path);
    ERRATA_CHECK(place != places_.end(), ErrorCode::kInternal, "metric ", path, " is not declared");
    metrics_[place->second].observations.push_back({task.item, task.cluster, value});
  }
  std::vector<Metric> take() { return std::move(metrics_); }

 private:
  std::vector<Metric> metrics_;
  std::unordered_map<std::string, std::size_t> places_;
};

// A metric of questions answered at once.
Metric direct(std::string path, std::string form = "question", bool main = false) {
  return {std::move(path), "em", std::move(form), "direct", "mean_case", main, {}};
}

// A mean of each edit, in the order in which they come.
class MeansOfEdits {
 public:
  void add(const Task& task, double right) {
    auto& [sum, count] = sums_[task.item];
    if (count == 0) {
      edits_.push_back(&task);
    }
    sum += right;
    count += 1;
  }
  void observe(Collector& out, const std::string& path) const {
    for (const Task* edit : edits_) {
      const auto& [sum, count] = sums_.at(edit->item);
      out.observe(path, *edit, sum / count);
    }
  }

 private:
  std::vector<const Task*> edits_;
  std::unordered_map<std::string, std::pair<double, double>> sums_; ///< right, all
};

void measure_editing(Collector& out) {
  out.declare(direct("editing.reliability", "question", true));
  Metric generalisation = direct("editing.generalisation", "wording");
  generalisation.aggregation = "mean_edit";
  out.declare(generalisation);
  out.declare(direct("editing.stale"));
  out.declare(direct("editing.new_facts", "question", true));
  out.declare(direct("editing.new_inverse", "question", true));
  out.declare(direct("editing.statement", "statement"));
  Metric portability = direct("editing.portability", "probe");
  portability.aggregation = "mean_edit";
  out.declare(portability);
  const std::string forced = "editing.teacher_forced.";
  out.declare({forced + "reliability", "tf_exact", "question", "direct", "mean_case", false, {}});
  out.declare(
      {forced + "token_accuracy", "tf_tokens", "question", "direct", "mean_case", false, {}});

  MeansOfEdits wordings;
  MeansOfEdits probes;
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    const double right = out.verdicts[i].right ? 1 : 0;
    if (task.part == Part::kReliability) {
      out.observe("editing.reliability", task, right);
      if (!task.stale.empty()) {
        out.observe("editing.stale", task, out.verdicts[i].stale ? 1 : 0);
      }
      if (const auto& scores = out.outputs[i].teacher_forced) {
        out.observe(forced + "reliability", task, scores->exact ? 1 : 0);
        out.observe(forced + "token_accuracy", task, scores->tokens);
      }
    } else if (task.part == Part::kWording) {
      wordings.add(task, right);
    } else if (task.part == Part::kPortability) {
      probes.add(task, right);
      const std::string path = "editing.portability_by_kind." + task.kind;
      out.declare(direct(path, "probe"));
      out.observe(path, task, right);
    } else if (task.part == Part::kNewFact) {
      out.observe("editing.new_facts", task, right);
    } else if (task.part == Part::kNewInverse) {
      out.observe("editing.new_inverse", task, right);
    } else if (task.part == Part::kStatement) {
      out.observe("editing.statement", task, right);
    }
  }
  wordings.observe(out, "editing.generalisation");
  probes.observe(out, "editing.portability");
}

void measure_locality(Collector& out) {
  const auto declare = [&](const std::string& prefix, bool main) {
    Metric same = direct(prefix + "same");
    same.scorer = "same";
    out.declare(same);
    out.declare(direct(prefix + "right", "question", main));
    out.declare(direct(prefix + "kept_correct"));
  };
  declare("locality.", true);
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    if (suite_of(task.part) != Suite::kLocality) {
      continue;
    }
    std::vector<std::string> prefixes;
    if (task.part == Part::kKept) {
      prefixes = {"locality.", "locality.by_kind." + task.kind + "."};
    } else {
      prefixes = {"locality.rehearsed."};
    }
    // The base gives its own answer by definition, also where it does not come to an end.
    const bool same = &out.verdicts == &out.base || same_answer(out.base[i], out.verdicts[i]);
    for (const std::string& prefix : prefixes) {
      declare(prefix, false);
      out.observe(prefix + "same", task, same ? 1 : 0);
      out.observe(prefix + "right", task, out.verdicts[i].right ? 1 : 0);
      if (out.base[i].right) {
        out.observe(prefix + "kept_correct", task, out.verdicts[i].right ? 1 : 0);
      }
    }
  }
}

Metric multihop(std::string path, Mode mode, std::string aggregation, bool main = false) {
  return {
      std::move(path),
      "em",
      "multihop",
      std::string(to_string(mode)),
      std::move(aggregation),
      main,
      {}};
}

// The first wording of every case: the headline.
void measure_first_wording(Collector& out) {
  for (const char* group : {"changed", "unchanged"}) {
    for (const Mode mode : {Mode::kDirect, Mode::kReasoning}) {
      out.declare(
          multihop(concat("multihop.", group, '.', to_string(mode)), mode, "mean_case", true));
    }
  }
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    if (task.part != Part::kCase || task.wording != 0) {
      continue;
    }
    const Verdict& verdict = out.verdicts[i];
    const std::string mode(to_string(task.mode));
    const std::string group = task.changed ? "changed" : "unchanged";
    const auto observe = [&](const std::string& path, bool value) {
      out.declare(multihop(path, task.mode, "mean_case"));
      out.observe(path, task, value ? 1 : 0);
    };
    observe("multihop." + group + "." + mode, verdict.right);
    observe(concat("multihop.by_hops.", task.chain.size(), '.', group, '.', mode), verdict.right);
    if (task.changed && !task.kind.empty()) {
      observe("multihop.by_edited_hop." + task.kind + "." + mode, verdict.right);
    }
    if (task.changed && task.defined_before) {
      observe("multihop.stale." + mode, verdict.stale);
    }
    if (task.defined_before) {
      const bool first_day = task.changed ? verdict.stale : verdict.right;
      observe("multihop.pre_edit." + mode, first_day);
    } else {
      observe("multihop.base_undefined." + mode, verdict.right);
    }
    if (task.mode == Mode::kReasoning && !task.chain.empty()) {
      observe("multihop.hop_wise." + group, verdict.hops_right);
    }
  }
}

// The three wordings of a case together.
void measure_three_wordings(Collector& out) {
  struct Answered {
    const Task* task = nullptr;
    double right = 0;
    int count = 0;
  };
  std::vector<Answered> cases;
  std::map<std::pair<Mode, std::string>, std::size_t> places;
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    if (task.part != Part::kCase) {
      continue;
    }
    const auto place = places.try_emplace({task.mode, task.item}, cases.size()).first->second;
    if (place == cases.size()) {
      cases.push_back({&task});
    }
    cases[place].right += out.verdicts[i].right ? 1 : 0;
    cases[place].count += 1;
  }
  for (const Answered& item : cases) {
    if (item.count != 3) {
      continue;
    }
    const Task& task = *item.task;
    const std::string rest =
        concat(task.changed ? ".changed." : ".unchanged.", to_string(task.mode));
    const auto observe = [&](const char* name, const char* aggregation, double value) {
      const std::string path = concat("multihop.", name, rest);
      out.declare(multihop(path, task.mode, aggregation));
      out.observe(path, task, value);
    };
    observe("any_of_three", "any3", item.right > 0 ? 1 : 0);
    observe("all_of_three", "all3", item.right == 3 ? 1 : 0);
    observe("mean_of_three", "mean3", item.right / 3);
  }
}

// Edited facts of the cases by themselves, and cases all of whose facts are known one by one.
void measure_single_hops(Collector& out) {
  out.declare(direct("multihop.edit_wise", "wording", true));
  std::unordered_map<std::string, bool> known;
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    if (task.part == Part::kEdit) {
      out.observe("multihop.edit_wise", task, out.verdicts[i].right ? 1 : 0);
    } else if (task.part == Part::kHop) {
      known[task.item] = out.verdicts[i].right;
    }
  }
  for (const char* path : {"multihop.instance_wise", "multihop.instance_wise_unchanged"}) {
    Metric metric = direct(path);
    metric.aggregation = "all_hops";
    out.declare(metric);
  }
  std::unordered_map<std::string, bool> seen;
  for (const Task& task : out.tasks) {
    if (task.part != Part::kCase || task.chain.empty() || !seen.emplace(task.item, true).second) {
      continue;
    }
    const bool all = std::all_of(task.chain.begin(), task.chain.end(), [&](const auto& hop) {
      const auto found = known.find(item_of(hop));
      return found != known.end() && found->second;
    });
    out.observe(
        task.changed ? "multihop.instance_wise" : "multihop.instance_wise_unchanged",
        task,
        all ? 1 : 0);
  }
}

void measure_questions(Collector& out) {
  out.declare(direct("history.right", "dated_question", true));
  for (const char* path : {"history.edited", "history.not_edited", "history.held_out"}) {
    out.declare(direct(path, "dated_question"));
  }
  out.declare(direct("facts.single", "question", true));
  out.declare(direct("facts.inverse", "question", true));
  for (std::size_t i = 0; i < out.tasks.size(); ++i) {
    const Task& task = out.tasks[i];
    const double right = out.verdicts[i].right ? 1 : 0;
    if (task.part == Part::kYear) {
      out.observe("history.right", task, right);
      out.observe(task.changed ? "history.edited" : "history.not_edited", task, right);
      if (task.kind == "held_out") {
        out.observe("history.held_out", task, right);
      }
    } else if (task.part == Part::kSingle) {
      out.observe("facts.single", task, right);
    } else if (task.part == Part::kInverse) {
      out.observe("facts.inverse", task, right);
    }
  }
}

} // namespace

std::vector<Metric> measure(
    const std::vector<Task>& tasks,
    const std::vector<Output>& outputs,
    const std::vector<Verdict>& verdicts,
    const std::vector<Verdict>& base) {
  ERRATA_CHECK(
      tasks.size() == outputs.size() && tasks.size() == verdicts.size() &&
          tasks.size() == base.size(),
      ErrorCode::kInternal,
      "tasks, outputs and verdicts differ in number");
  Collector out(Answers{tasks, outputs, verdicts, base});
  measure_editing(out);
  measure_locality(out);
  measure_first_wording(out);
  measure_three_wordings(out);
  measure_single_hops(out);
  measure_questions(out);
  return out.take();
}

const Metric* find_metric(const std::vector<Metric>& metrics, const std::string& path) {
  const auto found = std::find_if(
      metrics.begin(), metrics.end(), [&](const Metric& metric) { return metric.path == path; });
  return found == metrics.end() ? nullptr : &*found;
}

} // namespace errata::eval
