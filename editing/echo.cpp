#include "editing/echo.h"

#include "core/generation.h"

namespace errata::editing {
namespace {

// Room for an answer in steps; what is longer would not be a usual document.
constexpr std::int64_t kLongest = 96;

} // namespace

std::vector<Document> echo_documents(
    Decoder& base,
    const Tokenizer& tokenizer,
    const std::vector<std::int64_t>& eos,
    const OpenQuestions& open,
    std::size_t count,
    std::uint64_t seed,
    const ProgressCallback& progress) {
  const std::vector<std::string> prompts = open.prompts(count, seed);
  std::vector<Tokens> ids;
  ids.reserve(prompts.size());
  for (const std::string& prompt : prompts) {
    ids.push_back(tokenizer.encode_prompt(prompt));
  }
  GenerationOptions options;
  options.max_new_tokens = kLongest;
  options.temperature = 1.0;
  options.seed = seed;
  options.eos = eos;
  const std::vector<Generation> answers = generate(base, ids, options, progress);
  std::vector<Document> documents;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::string text = tokenizer.decode(answers[i].tokens);
    // A poor model may answer with nothing, or with blanks: no text to learn.
    const bool says_something = text.find_first_not_of(" \t\n") != std::string::npos;
    if (answers[i].finish == Finish::kEos && says_something &&
        !open.names_kept_fact(prompts[i] + text)) {
      documents.push_back({prompts[i], std::move(text), "echo", true, true});
    }
  }
  return documents;
}

} // namespace errata::editing
