#include "eval/evaluate.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"

#include <chrono>
#include <utility>

namespace errata::eval {
namespace {

// Answers are filed under everything that they depend on besides the prompt.
OutputCache open_cache(const Subject& subject, const EvaluateOptions& options, bool edited) {
  const bool shared = !edited && !options.base_cache.empty();
  const std::filesystem::path& folder = shared ? options.base_cache : options.cache;
  if (folder.empty()) {
    return {};
  }
  make_directories(folder);
  const OrderedJson key = {
      options.model_hash,
      subject.tokenizer.hash(),
      subject.eos,
      edited ? options.edited_hash : std::string(),
      to_json(options.protocol),
      c10::toString(subject.decoder->compute_dtype()),
      subject.decoder->device().is_cuda() ? "cuda" : "cpu"};
  return {folder / (edited ? "after.jsonl" : "before.jsonl"), sha256(key.dump())};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<Output> before_outputs(
    Subject& subject, const std::vector<Task>& tasks, const EvaluateOptions& options) {
  OutputCache cache = open_cache(subject, options, false);
  return run_tasks(subject, tasks, options.protocol, cache, "evaluating before", options.progress);
}

Evaluation start(std::vector<Task> tasks, const EvaluateOptions& options) {
  ERRATA_CHECK(
      !tasks.empty(),
      ErrorCode::kInvalidArgument,
      "nothing to evaluate: the chosen suites have no question here");
  Evaluation evaluation;
  evaluation.tasks = std::move(tasks);
  evaluation.protocol = options.protocol;
  evaluation.bootstrap = options.bootstrap;
  evaluation.excluded = options.excluded;
  return evaluation;
}

// Edits are back on however the scope is left.
class EditsOff {
 public:
  explicit EditsOff(const EditSwitch& set_edited) : set_edited_(set_edited) { set_edited_(false); }
  ~EditsOff() {
    try {
      set_edited_(true);
    } catch (...) { // a destructor must not throw; the caller sees the first error
    }
  }
  EditsOff(const EditsOff&) = delete;
  EditsOff& operator=(const EditsOff&) = delete;

 private:
  const EditSwitch& set_edited_;
};

} // namespace

void answer_before(
    Subject& subject, const std::vector<Task>& tasks, const EvaluateOptions& options) {
  before_outputs(subject, tasks, options);
}

Evaluation evaluate_before_after(
    Subject& subject,
    std::vector<Task> tasks,
    const EditSwitch& set_edited,
    const EvaluateOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  Evaluation evaluation = start(std::move(tasks), options);
  {
    const EditsOff off(set_edited);
    evaluation.before = before_outputs(subject, evaluation.tasks, options);
  }
  OutputCache cache = open_cache(subject, options, true);
  evaluation.after = run_tasks(
      subject, evaluation.tasks, options.protocol, cache, "evaluating after", options.progress);
  evaluation.before_verdicts = judge(evaluation.tasks, evaluation.before, options.protocol);
  evaluation.after_verdicts = judge(evaluation.tasks, evaluation.after, options.protocol);
  evaluation.seconds = seconds_since(began);
  return evaluation;
}

Evaluation evaluate_base(
    Subject& subject, std::vector<Task> tasks, const EvaluateOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  Evaluation evaluation = start(std::move(tasks), options);
  evaluation.before = before_outputs(subject, evaluation.tasks, options);
  evaluation.before_verdicts = judge(evaluation.tasks, evaluation.before, options.protocol);
  evaluation.seconds = seconds_since(began);
  return evaluation;
}

} // namespace errata::eval
