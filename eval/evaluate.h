#pragma once

#include "core/base/progress.h"
#include "eval/results.h"
#include "eval/runner.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace errata::eval {

struct EvaluateOptions {
  Protocol protocol;
  BootstrapOptions bootstrap;
  /// Folder for `before.jsonl` and `after.jsonl`, the answers so far; empty: kept in memory only.
  std::filesystem::path cache;
  /// Folder for `before.jsonl` instead, where several edits of one base are evaluated.
  std::filesystem::path base_cache;
  /// Hash of the untouched base: answers of another model are never taken for its own.
  std::string model_hash;
  /// Hash of the adapters, or whatever tells two edited models apart.
  std::string edited_hash;
  std::map<std::string, std::int64_t> excluded; ///< goes into the results
  ProgressCallback progress;
};

/// Switches the edits on (true) or off (false). Off, the model is the untouched base bit for bit.
using EditSwitch = std::function<void(bool on)>;

/// Answers of the untouched base, kept in the cache so that `evaluate_before_after` finds them:
/// for doing `before` before the edits exist. The edits have to be off.
void answer_before(
    Subject& subject, const std::vector<Task>& tasks, const EvaluateOptions& options);

/// The same tasks before and after. Leaves the edits on, also when it throws. Throws `kInterrupted`
/// with all finished answers in the cache; called again with the same arguments it goes on there.
Evaluation evaluate_before_after(
    Subject& subject,
    std::vector<Task> tasks,
    const EditSwitch& set_edited,
    const EvaluateOptions& options);

/// A base alone.
Evaluation evaluate_base(Subject& subject, std::vector<Task> tasks, const EvaluateOptions& options);

} // namespace errata::eval
