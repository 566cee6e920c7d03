#include "cli/question_options.h"

#include <CLI/CLI.hpp>

namespace errata::cli {

void add_question_options(
    CLI::App& command,
    QuestionOptions& options,
    const std::string& suites,
    const std::string& group) {
  command.add_option("--suite", options.suite, "all, or a list of " + suites)
      ->capture_default_str()
      ->group(group);
  command.add_option("--prompting", options.prompting, "Of multi-hop questions: direct,cot")
      ->delimiter(',')
      ->check(CLI::IsMember({"direct", "cot"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--wordings", options.wordings, "Of each multi-hop case")
      ->check(CLI::Range(1, 3))
      ->capture_default_str()
      ->group(group);
  command.add_option("--limit", options.limit, "Items of each part; 0: all")
      ->capture_default_str()
      ->group(group);
  command
      .add_flag(
          "--development",
          options.development,
          "Multi-hop cases of the development split: to choose settings without the final ones")
      ->group(group);
}

eval::TaskOptions task_options(const QuestionOptions& options) {
  eval::TaskOptions tasks;
  tasks.suites = eval::parse_suites(options.suite);
  tasks.wordings = options.wordings;
  tasks.limit = options.limit;
  tasks.development = options.development;
  tasks.modes.clear();
  for (const std::string& mode : options.prompting) {
    tasks.modes.insert(mode == "cot" ? eval::Mode::kReasoning : eval::Mode::kDirect);
  }
  return tasks;
}

} // namespace errata::cli
