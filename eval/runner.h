#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "eval/outputs.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::eval {

/// A model as the evaluator needs it; keeps references.
struct Subject {
  Decoder decoder;
  const Tokenizer& tokenizer;
  std::vector<std::int64_t> eos;
};

/// Answers every task by greedy generation, and scores those that ask for it with the answer given.
/// What `cache` holds is not computed again; it is extended and saved in steps. Equal prompts are
/// answered once. `what` names the operation in progress reports. Throws `kInterrupted` once the
/// user asked to stop, with the cache saved.
std::vector<Output> run_tasks(
    Subject& subject,
    const std::vector<Task>& tasks,
    const Protocol& protocol,
    OutputCache& cache,
    const std::string& what,
    const ProgressCallback& progress = {});

} // namespace errata::eval
