#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/prompt_queue.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace errata {

enum class Finish { kEos, kStop, kLength };

std::string_view to_string(Finish finish) noexcept;

/// Adapters that differ from prompt to prompt of one batch.
struct Routing {
  std::vector<std::int64_t> routes; ///< of each prompt; empty: all alike
  /// Called before each pass with the route of each row that the model is about to see; with an
  /// empty list at the end, also when an error ends it, and must not throw then.
  std::function<void(const std::vector<std::int64_t>& routes_of_rows)> select;
};

struct GenerationOptions {
  // Changes behaviour.
  std::int64_t max_new_tokens = 64;
  double temperature = 0.0; ///< 0: greedy
  std::int64_t top_k = 0;   ///< 0: all
  double top_p = 1.0;
  double min_p = 0.0; ///< leaves away what is less probable than this share of the most probable
  /// Divides positive logits of tokens already in prompt or text, multiplies negative ones (CTRL,
  /// 1909.05858); 1: off. Greedy text follows it too.
  double repetition_penalty = 1.0;
  std::uint64_t seed = 0;        ///< of sampling; each prompt has a stream of its own
  std::vector<std::int64_t> eos; ///< ids that end a sequence; not part of the result
  /// Called with the new tokens of a sequence after each one; true ends it (`kStop`). For stop
  /// strings, which need the tokenizer.
  std::function<bool(const Tokens& generated)> should_stop;
  Routing routing;

  // Changes speed only.
  std::int64_t max_batch = 256; ///< sequences in flight
};

struct Generation {
  Tokens tokens; ///< new tokens, without the end token
  Finish finish = Finish::kLength;
};

/// Continues each prompt. Prompts are batched whatever their lengths, equal prompts (greedy) are
/// computed once, a prefix that all prompts share is computed once, rows leave the batch when they
/// finish. The result of a prompt does not depend on the others beyond float rounding.
std::vector<Generation> generate(
    Decoder& model,
    const std::vector<Tokens>& prompts,
    const GenerationOptions& options,
    const ProgressCallback& progress = {});

} // namespace errata
