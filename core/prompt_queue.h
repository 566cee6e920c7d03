#pragma once

#include <cstdint>
#include <vector>

namespace errata {

using Tokens = std::vector<std::int32_t>;

/// Which prompts of a generation have to run, and in what order: the longest first, so that the
/// batch that is left at the end is the cheapest.
class PromptQueue {
 public:
  /// `routes`: of each prompt, or empty when all have the same. With `merge_equal` equal prompts of
  /// one route run once. `prompts` must outlive the queue.
  PromptQueue(
      const std::vector<Tokens>& prompts,
      const std::vector<std::int64_t>& routes,
      bool merge_equal);

  bool empty() const { return waiting_.empty(); }
  std::int64_t distinct() const { return distinct_; } ///< prompts that have to run, from the first
  /// The prompt that runs for prompt i; i itself where it has to.
  std::size_t runs_for(std::size_t i) const { return runs_for_[i]; }
  std::size_t next() const { return waiting_.back(); } ///< of a queue that is not empty

  /// How many tokens all that have to run begin with. Leaves each one token at least; 0 for a
  /// single prompt, and where routes differ, since each computes them otherwise.
  std::int64_t shared() const { return shared_; }

  /// Takes the next ones: at most `rows` prompts and, but for the first, `tokens` tokens after the
  /// shared ones; of one length unless `any_lengths`.
  std::vector<std::size_t> take(std::int64_t rows, std::int64_t tokens, bool any_lengths);

 private:
  std::int64_t shared_length() const;

  const std::vector<Tokens>& prompts_;
  std::vector<std::size_t> runs_for_;
  std::vector<std::size_t> waiting_; ///< the next one last
  std::int64_t distinct_ = 0;
  std::int64_t shared_ = 0;
};

} // namespace errata
