#include "eval/runner.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"
#include "core/generation.h"
#include "core/scoring.h"

#include <algorithm>
#include <cctype>
#include <unordered_set>
#include <utility>

namespace errata::eval {
namespace {

// Answers between two saves of the cache: large enough to keep batches full.
constexpr std::size_t kChunk = 4096;

Ending to_ending(Finish finish) {
  return finish == Finish::kEos    ? Ending::kEos
         : finish == Finish::kStop ? Ending::kStop
                                   : Ending::kLength;
}

void check_interrupted() {
  ERRATA_CHECK(
      !interrupted(),
      ErrorCode::kInterrupted,
      "evaluation stopped; the answers so far are kept, --resume goes on");
}

// Reports [done, done + of] of the whole, whatever units the inner operation counts.
ProgressCallback part_of(
    const ProgressCallback& progress,
    const std::string& what,
    std::size_t done,
    std::size_t total) {
  return [&progress, what, done, total](const Progress& inner) {
    check_interrupted();
    report(
        progress,
        {what,
         static_cast<std::int64_t>(done) + inner.done,
         static_cast<std::int64_t>(total),
         "answers",
         inner.detail});
  };
}

GenerationOptions generation_options(const Subject& subject, const Protocol& protocol, Mode mode) {
  GenerationOptions options;
  options.max_new_tokens = protocol.max_new_tokens(mode);
  options.eos = subject.eos;
  if (protocol.stop != StopRule::kEos) {
    // A stop is seen once the token after it is there, or at the end of the text: "St. Louis" must
    // not end at a token "St.".
    options.should_stop =
        [&tokenizer = subject.tokenizer, mode, rule = protocol.stop](const Tokens& tokens) {
          const std::string text = tokenizer.decode(tokens);
          const auto stop = find_stop(text, mode, rule);
          return stop && (text[*stop] == '\n' || *stop + 1 < text.size());
        };
  }
  return options;
}

Output to_output(
    const Generation& generation, const Subject& subject, const Protocol& protocol, Mode mode) {
  Output output;
  output.text = subject.tokenizer.decode(generation.tokens);
  output.ending = to_ending(generation.finish);
  if (const auto stop = find_stop(output.text, mode, protocol.stop)) {
    output.text.resize(*stop);
    output.ending = Ending::kStop;
  }
  return output;
}

// Token ids of prompt and answer together, and where the answer begins.
struct Scored {
  Tokens tokens;
  std::int64_t first = 0;
  bool boundary_merge = false;
};

Scored encode_scored(const Tokenizer& tokenizer, const Task& task) {
  const bool spaced = !task.prompt.empty() && std::isspace(task.prompt.back()) != 0;
  const std::string answer = (spaced ? "" : " ") + task.answers.front();
  const Tokens prompt = tokenizer.encode_prompt(task.prompt);
  Scored scored{tokenizer.encode_prompt(task.prompt + answer), 0, false};
  scored.first = static_cast<std::int64_t>(prompt.size());
  if (scored.tokens.size() <= prompt.size() ||
      !std::equal(prompt.begin(), prompt.end(), scored.tokens.begin())) {
    const Tokens rest = tokenizer.encode(answer);
    scored.tokens = prompt;
    scored.tokens.insert(scored.tokens.end(), rest.begin(), rest.end());
    scored.boundary_merge = true;
  }
  return scored;
}

TeacherForced summarise(const std::vector<TokenScore>& scores, bool boundary_merge) {
  TeacherForced result;
  result.boundary_merge = boundary_merge;
  double right = 0;
  double sum = 0;
  for (const TokenScore& score : scores) {
    right += score.argmax ? 1 : 0;
    sum -= score.logprob;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(scores.size(), 1));
  result.tokens = right / count;
  result.exact = !scores.empty() && right == count;
  result.nll = sum / count;
  return result;
}

void score_answers(
    Subject& subject, const std::vector<const Task*>& tasks, std::vector<Output>& outputs) {
  std::vector<std::size_t> places;
  std::vector<Tokens> sequences;
  std::vector<std::int64_t> first;
  std::vector<bool> merged;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i]->teacher_forced && !tasks[i]->answers.empty()) {
      Scored scored = encode_scored(subject.tokenizer, *tasks[i]);
      places.push_back(i);
      sequences.push_back(std::move(scored.tokens));
      first.push_back(scored.first);
      merged.push_back(scored.boundary_merge);
    }
  }
  if (places.empty()) {
    return;
  }
  const auto scores =
      score_tokens(subject.decoder, sequences, first, [](const Progress&) { check_interrupted(); });
  for (std::size_t k = 0; k < places.size(); ++k) {
    outputs[places[k]].teacher_forced = summarise(scores[k], merged[k]);
  }
}

// One task for each output that the cache lacks.
std::vector<const Task*> missing_tasks(
    const std::vector<Task>& tasks, const OutputCache& cache, Mode mode) {
  std::vector<const Task*> missing;
  std::unordered_set<std::string> seen;
  for (const Task& task : tasks) {
    if (task.mode == mode && cache.find(task) == nullptr && seen.insert(output_key(task)).second) {
      missing.push_back(&task);
    }
  }
  return missing;
}

} // namespace

std::vector<Output> run_tasks(
    Subject& subject,
    const std::vector<Task>& tasks,
    const Protocol& protocol,
    OutputCache& cache,
    const std::string& what,
    const ProgressCallback& progress) {
  std::vector<std::pair<Mode, std::vector<const Task*>>> work;
  std::size_t total = 0;
  for (const Mode mode : {Mode::kDirect, Mode::kReasoning}) {
    work.emplace_back(mode, missing_tasks(tasks, cache, mode));
    total += work.back().second.size();
  }
  std::size_t done = 0;
  for (const auto& [mode, missing] : work) {
    const GenerationOptions options = generation_options(subject, protocol, mode);
    for (std::size_t at = 0; at < missing.size(); at += kChunk) {
      check_interrupted();
      const std::size_t end = std::min(at + kChunk, missing.size());
      const std::vector<const Task*> chunk(
          missing.begin() + static_cast<std::ptrdiff_t>(at),
          missing.begin() + static_cast<std::ptrdiff_t>(end));
      std::vector<Tokens> prompts;
      for (const Task* task : chunk) {
        prompts.push_back(subject.tokenizer.encode_prompt(task->prompt));
      }
      const auto generations =
          generate(subject.decoder, prompts, options, part_of(progress, what, done, total));
      std::vector<Output> outputs;
      for (const Generation& generation : generations) {
        outputs.push_back(to_output(generation, subject, protocol, mode));
      }
      score_answers(subject, chunk, outputs);
      for (std::size_t i = 0; i < chunk.size(); ++i) {
        cache.insert(*chunk[i], outputs[i]);
      }
      cache.save();
      done += chunk.size();
    }
  }
  std::vector<Output> outputs;
  outputs.reserve(tasks.size());
  for (const Task& task : tasks) {
    outputs.push_back(*cache.find(task));
  }
  return outputs;
}

} // namespace errata::eval
