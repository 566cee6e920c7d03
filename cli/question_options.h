#pragma once

#include "eval/task.h"

#include <cstddef>
#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace errata::cli {

/// Which questions an evaluation asks.
struct QuestionOptions {
  std::string suite = "all";
  std::vector<std::string> prompting = {"direct", "cot"};
  int wordings = 3;
  std::size_t limit = 0;
  bool development = false;
};

/// Adds --suite (of `suites`), --prompting, --wordings, --limit and --development.
void add_question_options(
    CLI::App& command,
    QuestionOptions& options,
    const std::string& suites,
    const std::string& group);

eval::TaskOptions task_options(const QuestionOptions& options);

} // namespace errata::cli
