// One side of tests/bench/generate_speed.py: how long errata takes to continue prompts of random
// ids. Prints {"seconds": [...]} of the repetitions after one that warms up.
//
// usage: generate_speed MODEL DTYPE PROMPTS PROMPT_TOKENS NEW_TOKENS REPEATS

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/device.h"
#include "core/generation.h"
#include "core/model.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace errata {
namespace {

double seconds_of(Decoder& model, const std::vector<Tokens>& prompts, std::int64_t count) {
  GenerationOptions options;
  options.max_new_tokens = count;
  const auto start = std::chrono::steady_clock::now();
  const auto results = generate(model, prompts, options);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  for (const Generation& result : results) {
    ERRATA_CHECK(
        static_cast<std::int64_t>(result.tokens.size()) == count,
        ErrorCode::kInternal,
        "a text ended early");
  }
  return taken.count();
}

void run(char** arguments) {
  LoadOptions load;
  load.dtype = parse_dtype(arguments[2], load.device);
  load.hash = false;
  Model model = load_model(arguments[1], load);
  const auto number = [&](int i) { return std::atoll(arguments[i]); };
  Random random(1);
  std::vector<Tokens> prompts(static_cast<std::size_t>(number(3)));
  for (Tokens& prompt : prompts) {
    prompt.resize(static_cast<std::size_t>(number(4)));
    for (std::int32_t& id : prompt) {
      id = static_cast<std::int32_t>(random.index(1000));
    }
  }
  seconds_of(model.decoder, prompts, number(5));
  std::cout << "{\"seconds\": [";
  for (long long i = 0; i < number(6); ++i) {
    std::cout << (i == 0 ? "" : ", ") << seconds_of(model.decoder, prompts, number(5));
  }
  std::cout << "]}\n";
}

} // namespace
} // namespace errata

int main(int count, char** arguments) {
  constexpr int kArguments = 7;
  if (count != kArguments) {
    std::cerr << "usage: generate_speed MODEL DTYPE PROMPTS PROMPT_TOKENS NEW_TOKENS REPEATS\n";
    return 2;
  }
  try {
    errata::run(arguments);
  } catch (const std::exception& error) {
    std::cerr << "generate_speed: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
