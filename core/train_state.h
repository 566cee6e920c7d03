#pragma once

#include "core/flat_parameters.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace errata {

/// Where a training run stands, apart from its tensors.
struct TrainProgress {
  std::int64_t step = 0;      ///< steps done
  std::int64_t tokens = 0;    ///< forward rows
  std::int64_t skipped = 0;   ///< steps whose loss was below the early-stop value
  double seconds = 0;         ///< over all processes that worked on it
  std::vector<double> recent; ///< losses of the last steps, newest last
  double epoch_loss = 0;      ///< sum over the steps of the running epoch
  std::int64_t epoch_steps = 0;
  bool finished = false;
};

/// The kept state of a training run: `<directory>/state.safetensors` (docs/formats/checkpoint.md)
/// holds the parameters, the optimizer's state, the generator's state and the progress; examples
/// are found again by drawing them again. The file is replaced as a whole.
class TrainState {
 public:
  /// `fingerprint`: what must be equal for a resume.
  TrainState(std::filesystem::path directory, std::map<std::string, std::string> fingerprint);

  bool exists() const;
  /// `others`: whatever a step reads besides the parameters, of the optimizer and of hooks.
  void save(
      FlatParameters& parameters,
      const std::vector<NamedTensor>& others,
      const TrainProgress& progress) const;
  /// Fills everything in place. A run with other options or parameters is `kInvalidArgument` and
  /// names the first difference; a damaged file is `kCorrupt`.
  TrainProgress load(FlatParameters& parameters, const std::vector<NamedTensor>& others) const;

 private:
  std::filesystem::path file() const;

  std::filesystem::path directory_;
  std::map<std::string, std::string> fingerprint_;
};

} // namespace errata
