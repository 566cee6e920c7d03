#include "editing/locate/located_prompt.h"

#include "editing/example.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace errata::editing {
namespace {

// By characters, not by a tokenisation of the subject: a token may begin before it. `end` is where
// the subject ends in `text`, of which `tokens` are the beginning at least up to there.
std::int64_t token_at_end(
    const std::vector<std::int32_t>& tokens,
    const std::string& text,
    std::size_t end,
    const Tokenizer& tokenizer) {
  const auto cut = tokenizer.encode_prompt(std::string_view(text).substr(0, end));
  const auto differ = std::mismatch(cut.begin(), cut.end(), tokens.begin(), tokens.end()).first;
  if (differ == cut.end()) {
    return static_cast<std::int64_t>(cut.size()) - 1;
  }
  // A token reaches beyond the subject.
  std::vector<std::int32_t> prefix(cut.begin(), differ);
  while (prefix.size() < tokens.size()) {
    prefix.push_back(tokens[prefix.size()]);
    if (tokenizer.decode(prefix).size() >= end) {
      break;
    }
  }
  return static_cast<std::int64_t>(prefix.size()) - 1;
}

} // namespace

LocatedPrompt locate_prompt(
    const EditRequest& request, const std::string& context, const Tokenizer& tokenizer) {
  const std::string text = context + request.prompt;
  TrainExample example = make_example({text, request.completion, "", false}, tokenizer);
  example.tokens.pop_back(); // the end of sequence
  const std::size_t end =
      context.size() + request.prompt.rfind(request.subject) + request.subject.size();
  const std::int64_t last = token_at_end(example.tokens, text, end, tokenizer);
  return {std::move(example.tokens), last, example.first_label};
}

LocatedPrompt locate_subject(const EditRequest& request, const Tokenizer& tokenizer) {
  const std::string text = request.subject + " is a";
  LocatedPrompt located;
  located.tokens = tokenizer.encode_prompt(text);
  located.subject_last = token_at_end(located.tokens, text, request.subject.size(), tokenizer);
  located.first_label = located.rows();
  return located;
}

std::vector<ValueProblem> value_problems(
    const std::vector<EditRequest>& requests,
    const std::vector<std::string>& contexts,
    const Tokenizer& tokenizer) {
  std::vector<ValueProblem> problems;
  std::map<std::vector<std::int32_t>, std::size_t> known;
  for (const EditRequest& request : requests) {
    const LocatedPrompt bare = locate_prompt(request, "", tokenizer);
    const std::vector<std::int32_t> key(
        bare.tokens.begin(), bare.tokens.begin() + bare.subject_last + 1);
    const auto [found, fresh] = known.emplace(key, problems.size());
    if (fresh) {
      problems.push_back({{}, locate_subject(request, tokenizer)});
    }
    ValueProblem& problem = problems[found->second];
    problem.prompts.push_back(bare);
    for (const std::string& context : contexts) {
      problem.prompts.push_back(locate_prompt(request, context, tokenizer));
    }
  }
  return problems;
}

} // namespace errata::editing
