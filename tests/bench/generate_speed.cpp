// One side of tests/bench/generate_speed.py: how long errata takes to continue the prompts of FILE,
// {"prompts": [[id, ...], ...], "max_new_tokens": n, "eos": [id, ...]}. Prints {"seconds": [...],
// "cpu_seconds": [...], "tokens": n}, the repetitions after one that warms up and the new tokens of
// one.
//
// usage: generate_speed MODEL DTYPE FILE REPEATS

#include "core/base/json.h"
#include "core/device.h"
#include "core/generation.h"
#include "core/model.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>

namespace errata {
namespace {

void run(char** arguments) {
  configure_runtime(0); // as the program does
  LoadOptions load;
  load.dtype = parse_dtype(arguments[2], load.device);
  load.hash = false;
  Model model = load_model(arguments[1], load);
  const Json work = read_json(arguments[3]);
  const std::vector<Tokens> prompts = work["prompts"];
  GenerationOptions options;
  options.max_new_tokens = work["max_new_tokens"];
  options.eos = work["eos"].get<std::vector<std::int64_t>>();
  Json result = {{"seconds", Json::array()}, {"cpu_seconds", Json::array()}};
  for (long long i = 0; i <= std::atoll(arguments[4]); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    const auto texts = generate(model.decoder, prompts, options);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const double cpu_taken = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    std::size_t tokens = 0;
    for (const Generation& text : texts) {
      tokens += text.tokens.size();
    }
    if (i > 0) {
      result["seconds"].push_back(taken.count());
      result["cpu_seconds"].push_back(cpu_taken);
    }
    result["tokens"] = tokens;
  }
  std::cout << result.dump() << '\n';
}

} // namespace
} // namespace errata

int main(int count, char** arguments) {
  constexpr int kArguments = 5;
  if (count != kArguments) {
    std::cerr << "usage: generate_speed MODEL DTYPE FILE REPEATS\n";
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
