#include "editing/locate/contexts.h"

#include "core/generation.h"

#include <array>

namespace errata::editing {

std::vector<std::string> sample_contexts(
    Decoder& model, const Tokenizer& tokenizer, std::int64_t count, std::uint64_t seed) {
  constexpr std::array kOpenings = {"The", "Therefore", "Because", "I", "You"};
  GenerationOptions options;
  options.max_new_tokens = 10;
  options.temperature = 1.0;
  options.top_k = 5;
  options.seed = seed;
  if (tokenizer.eos() >= 0) {
    options.eos = {tokenizer.eos()};
  }
  std::vector<std::string> openings;
  std::vector<Tokens> prompts;
  for (std::int64_t i = 0; i < count; ++i) {
    openings.emplace_back(kOpenings[static_cast<std::size_t>(i) % kOpenings.size()]);
    prompts.push_back(tokenizer.encode_prompt(openings.back()));
  }
  std::vector<std::string> contexts;
  const std::vector<Generation> texts = generate(model, prompts, options);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Tokens text = texts[i].tokens; // a model may have more ids than its tokenizer
    std::erase_if(text, [&](std::int32_t id) { return id >= tokenizer.vocab_size(); });
    contexts.push_back(openings[i] + tokenizer.decode(text) + ". ");
  }
  return contexts;
}

} // namespace errata::editing
