#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "editing/locate/located_prompt.h"
#include "editing/locate/residual_site.h"

#include <cstdint>
#include <span>
#include <vector>

namespace errata::editing {

/// Whose output is moved: the layer's (MEMIT, AlphaEdit) or that of its MLP's last matrix (ROME).
enum class ValueSite { kLayer, kMatrix };

struct ValueOptions {
  ValueSite site = ValueSite::kLayer;
  std::int64_t steps = 25;
  double lr = 0.5;
  double weight_decay = 0.5;
  double kl = 0.0625;
  double clamp = 0.75;      ///< largest ||delta|| / ||v0||
  double early_stop = 0.05; ///< a value whose loss is below it is done
  std::int64_t micro_tokens = 4096;
};

/// Of n problems, float64.
struct Values {
  torch::Tensor matrix;    ///< [n, hidden]: wanted output of the matrix at the subject's last token
  torch::Tensor layer;     ///< [n, hidden]: wanted output of the layer there
  torch::Tensor loss;      ///< [n]: the last one
  std::int64_t tokens = 0; ///< of forward passes above the layer
};

/// The values of 2202.05262 (eq. 4) and 2210.07229 (eq. 16), all problems of a pass at once: a
/// delta that is added at the subject's last token of every row, by Adam, to minimise
///   mean over prompts of mean target NLL + kl KL(p || p0) + weight_decay ||delta|| / ||v0||^2,
/// where KL is of the next token after the subject of `about`, p0 and v0 without a delta, and after
/// each step ||delta|| <= clamp ||v0||. The last step takes none, as in the authors' code. Layers
/// up to the site's run once. `kInterrupted` when the user stops.
Values optimise_values(
    Decoder& model,
    const ResidualSite& site,
    std::span<const ValueProblem> problems,
    const ValueOptions& options,
    const ProgressCallback& progress = {});

} // namespace errata::editing
