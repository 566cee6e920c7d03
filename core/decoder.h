#pragma once

#include "core/adaptable.h"
#include "core/attachments.h"
#include "core/decoder_config.h"
#include "core/decoder_layer.h"
#include "core/linear.h"
#include "core/packed_batch.h"
#include "core/torch.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace errata {

class KvCache;

/// A decoder-only transformer described by a `DecoderConfig`. Its parameters carry the names of the
/// HF checkpoint (`model.layers.3.mlp.down_proj.weight`), so that loading, saving and target
/// matching need no table.
///
/// The parameters' dtype is the storage dtype; activations have `compute_dtype()`.
class DecoderImpl : public torch::nn::Module {
 public:
  /// Allocates parameters without initialising them: load a checkpoint or call `initialise`.
  explicit DecoderImpl(DecoderConfig config, torch::TensorOptions parameters = {});
  ~DecoderImpl() override;

  const DecoderConfig& config() const { return config_; }
  torch::Device device() const;
  torch::Dtype compute_dtype() const { return compute_dtype_; }
  void set_compute_dtype(torch::Dtype dtype) { compute_dtype_ = dtype; }
  /// Dropout on the output of both branches of each block while gradients are on (pre-training).
  void set_residual_dropout(double probability) { residual_dropout_ = probability; }

  /// N(0, std^2) for matrices, zeros for norms stored around 0 and ones for the others, from the
  /// default generator.
  void initialise(double std = 0.02);

  /// Hidden states after the final norm [rows, hidden]; of the rows `wanted` (int64 [n], any order,
  /// repeated or not) alone: [n, hidden]. The last layer then attends in all rows, and computes
  /// its output projection, norms and MLP, which are most of it, in those.
  torch::Tensor hidden(const PackedBatch& batch, const torch::Tensor& wanted = {});

  /// The residual stream that enters `layer` [rows, hidden]: embedding and layers [0, layer).
  torch::Tensor states_before(std::int64_t layer, const PackedBatch& batch);
  /// Layers [layer, end) and the final norm, from the states that enter `layer`.
  torch::Tensor hidden_from(
      std::int64_t layer,
      const torch::Tensor& states,
      const PackedBatch& batch,
      const torch::Tensor& wanted = {});

  /// Hidden states after the final norm [batch, steps, hidden] of `ids` [batch, steps] that follow
  /// what the cache holds; the cache is extended. Inference only.
  torch::Tensor hidden_cached(const torch::Tensor& ids, KvCache& cache);
  /// The same of `steps[i]` tokens for row i of the cache, whose `ids` [rows of the pass] lie end
  /// to end: [rows of the pass, hidden], or of the rows `wanted` of the pass. Only where
  /// `takes_unequal_steps`.
  torch::Tensor hidden_cached(
      const torch::Tensor& ids,
      const std::vector<std::int64_t>& steps,
      KvCache& cache,
      const torch::Tensor& wanted = {});
  /// False with recurrent layers, and with a soft prompt, which comes before the first tokens.
  bool takes_unequal_steps() const;

  /// Output layer, with the final soft cap when the family has one: [n, hidden] -> [n, vocab].
  torch::Tensor logits(const torch::Tensor& hidden);
  /// The same without what is attached to the output layer.
  torch::Tensor base_logits(const torch::Tensor& hidden) const;

  /// Every module that adapters can be attached to with its path, in checkpoint order: tables,
  /// linear layers, norms and, last, the output head, which is there also when it is tied.
  std::vector<std::pair<std::string, Adaptable>> adaptables() const;

  /// Every linear layer but the output head with its module path
  /// (`model.layers.0.self_attn.q_proj`), in checkpoint order.
  std::vector<std::pair<std::string, Linear>> linears() const;

  /// The attention of a layer; empty where the layer is recurrent.
  SelfAttention attention(std::int64_t layer) const;
  /// What is attached to the sub-layers of a layer.
  AttachmentList<BlockAttachment>& block_attachments(std::int64_t layer, SubLayer place);
  /// What stands before the first token of every sequence. One of them may be active at a time
  /// (`kUnsupported`).
  AttachmentList<InputAttachment>& input_attachments() { return input_attachments_; }

  /// True when passes of several threads may run at once: what is attached is reentrant, and there
  /// is no dropout.
  bool reentrant() const;

  /// True when a pass may compute what several sequences begin with once (`share_prefixes`): on the
  /// CPU, where sums over them are in a fixed order, without recurrent layers or rotations that
  /// depend on a text's length.
  bool shares_prefixes() const;
  /// Rows that a soft prompt puts before each sequence.
  std::int64_t prompt_length() const;

  /// Parameters whose files have them the other way round.
  std::set<std::string> transposed_in_files() const;

 private:
  struct Parts;

  /// Layers [first, last) on packed rows, of which `prefix_rows` (perhaps undefined) stand in
  /// front; of the last one the rows `wanted`.
  torch::Tensor run_packed(
      std::int64_t first,
      std::int64_t last,
      const torch::Tensor& states,
      const PackedBatch& batch,
      const torch::Tensor& wanted = {},
      const torch::Tensor& prefix_rows = {});
  torch::Tensor embed_packed(const PackedBatch& batch);
  torch::Tensor capped(const torch::Tensor& logits) const;
  torch::Tensor hidden_after(
      InputAttachment& input, const PackedBatch& batch, const torch::Tensor& wanted);
  InputAttachment* active_input() const;
  /// The layers on `x`, the tokens of the pass that the cache has begun.
  torch::Tensor run_cached(
      torch::Tensor x,
      const torch::Tensor& positions,
      const torch::Tensor& prefix_rows,
      const torch::Tensor& wanted,
      KvCache& cache);

  DecoderConfig config_;
  torch::Dtype compute_dtype_;
  double residual_dropout_ = 0.0;
  AttachmentList<InputAttachment> input_attachments_;
  std::unique_ptr<Parts> parts_;
};
TORCH_MODULE(Decoder);

} // namespace errata
