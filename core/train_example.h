#pragma once

#include <cstdint>
#include <vector>

namespace errata {

/// One training sequence. The loss covers tokens[first_label:], the end of sequence among them:
/// position t predicts token t + 1.
struct TrainExample {
  std::vector<std::int32_t> tokens;
  std::int64_t first_label = 1;
  /// The loss may also hold the model to the base's own distribution here (KL).
  bool rehearsal = false;
  double weight = 1.0; ///< of this example's label positions among the others
  /// The loss is KL(base || model) instead of the tokens' cross-entropy: the same in the mean over
  /// tokens that the base would draw here, without their noise (1503.02531).
  bool distilled = false;

  /// Rows of a forward pass: the last token predicts nothing.
  std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()) - 1; }
  std::int64_t labels() const { return static_cast<std::int64_t>(tokens.size()) - first_label; }
};

/// An endless, deterministic sequence of examples: a position in it is the number of examples
/// drawn, and a resumed run gets there by drawing them again.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  virtual TrainExample next() = 0;
};

} // namespace errata
