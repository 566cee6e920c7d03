#pragma once

#include "eval/task.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata::eval {

/// How a generated text ended.
enum class Ending {
  kEos,   ///< the model stopped by itself
  kStop,  ///< at a stop string of the protocol, which is not part of the text
  kLength ///< cut off
};

std::string_view to_string(Ending ending) noexcept;

/// The answer scored with its own tokens in front (docs/metrics.md: teacher forcing).
struct TeacherForced {
  double tokens = 0;           ///< share of answer tokens that are the model's first choice
  bool exact = false;          ///< all of them
  double nll = 0;              ///< mean negative log-likelihood of an answer token
  bool boundary_merge = false; ///< prompt and answer share a token, so they were encoded apart
};

/// What a model said to one task.
struct Output {
  std::string text;
  Ending ending = Ending::kLength;
  std::optional<TeacherForced> teacher_forced;
};

/// What an output depends on besides model and protocol: greedy answers are a function of prompt
/// and mode, teacher-forced ones of the answer too.
std::string output_key(const Task& task);

/// Outputs on disk, so that an interrupted evaluation goes on where it stopped and `before` is
/// computed once. One file for one model and protocol; a file for another is replaced.
class OutputCache {
 public:
  /// Reads `file` where it exists and was written under the same `key`. Throws `kCorrupt` for a
  /// damaged file.
  OutputCache(std::filesystem::path file, std::string key);
  /// In memory only.
  OutputCache() = default;

  const Output* find(const Task& task) const;
  void insert(const Task& task, const Output& output);
  std::size_t size() const noexcept { return outputs_.size(); }
  /// Writes everything, complete or not at all.
  void save() const;

 private:
  std::filesystem::path file_;
  std::string key_;
  std::map<std::string, Output> outputs_;
};

/// What happened to one output.
struct Verdict {
  std::optional<std::string> answer; ///< missing: unfinished, or no answer in a reasoned text
  bool right = false;
  bool exact = false;    ///< right without normalisation
  bool contains = false; ///< an accepted answer occurs somewhere
  bool stale = false;    ///< the answer of the first day, no longer right
  /// A right reasoned answer whose steps name every entity of the chain.
  bool hops_right = false;
};

/// Judges an output. Text that was cut off has no answer when the protocol waits for the model to
/// stop by itself.
Verdict judge(const Task& task, const Output& output, const Protocol& protocol);

std::vector<Verdict> judge(
    const std::vector<Task>& tasks, const std::vector<Output>& outputs, const Protocol& protocol);

/// Both answers are there and say the same, after normalisation.
bool same_answer(const Verdict& before, const Verdict& after);

} // namespace errata::eval
