#pragma once

#include "editing/edit_session.h"
#include "editing/editor_options.h"
#include "editing/locate/residual_site.h"
#include "editing/locate/value_optimisation.h"
#include "editing/null_space.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace errata::editing {

/// Writes values that were found into the matrices of some layers, one batch of edits after the
/// other: by ROME into one layer, by MEMIT or AlphaEdit into several, each of which takes its share
/// of what is still missing at the last one (2210.07229, algorithm 1). While it lives, the model is
/// the edited one.
class WeightWriter {
 public:
  /// `moments` of the matrices' inputs, by module; `rome` goes without one. Each problem's first
  /// prompts are the bare one and it behind `contexts` texts. `model`, `sites` and `options` must
  /// outlive the writer. `kInvalidArgument` when `alphaedit` finds no null space.
  WeightWriter(
      Decoder& model,
      const std::vector<ResidualSite>& sites,
      const EditorOptions& options,
      std::size_t contexts,
      const std::map<std::string, InputMoment>& moments);

  /// `values` of `problems`; of `rome` one at a time.
  void write(std::span<const ValueProblem> problems, const Values& values);

  /// ||Z - H|| after the writes by that before them, sums over batches: what of the wanted change
  /// at the last layer is missing (0: nothing; `rome` does not measure it).
  double missing_share() const { return before_ > 0 ? after_ / before_ : 0; }

  /// Edited less base weights, float32.
  std::vector<NamedTensor> deltas() const { return session_.deltas(); }

 private:
  /// What the model does at the subjects of some problems, float64, a column each.
  struct AtSubjects {
    torch::Tensor keys;   ///< [in, n]: mean inputs of a matrix
    torch::Tensor matrix; ///< [out, n]: its outputs for the bare prompts
    torch::Tensor layer;  ///< [hidden, n]: outputs of the last edited layer for them
  };
  struct Looked;

  void check_basis(const ResidualSite& site) const;
  torch::Tensor change(
      std::size_t site, const torch::Tensor& keys, const torch::Tensor& residual) const;
  void write_rome(std::span<const ValueProblem> problems, const Values& values);
  AtSubjects look(std::span<const ValueProblem> problems, std::size_t site);
  void look_at(std::span<const std::vector<std::int32_t>> texts, std::size_t site, Looked& looked);
  torch::Tensor mean_key(const torch::Tensor& keys) const;

  Decoder& model_;
  const std::vector<ResidualSite>& sites_;
  const EditorOptions& options_;
  std::size_t contexts_;
  EditSession session_;
  std::vector<torch::Tensor> weights_;
  std::vector<torch::Tensor> moments_; ///< of each site; undefined: none
  std::vector<torch::Tensor> bases_;   ///< alphaedit: of the null space
  std::vector<torch::Tensor> earlier_; ///< alphaedit: M
  double before_ = 0;
  double after_ = 0;
};

} // namespace errata::editing
