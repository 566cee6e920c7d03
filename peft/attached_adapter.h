#pragma once

#include "peft/adapter.h"
#include "peft/attachment.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

/// An adapter made of attachments to modules. Constructing it attaches, destroying it unmerges and
/// detaches.
class AttachedAdapter final : public Adapter {
 public:
  struct Part {
    std::string module;
    Adaptable target;
    std::shared_ptr<Attachment> attachment; ///< shared with the module
    std::int64_t layer = 0;                 ///< `lowest_layer` of the module
  };

  /// `parts` in model order, several of a module perhaps; `shared` are fixed tensors that the file
  /// holds once.
  AttachedAdapter(AdapterConfig config, std::vector<Part> parts, NamedTensors shared = {});
  ~AttachedAdapter() override;
  AttachedAdapter(const AttachedAdapter&) = delete;
  AttachedAdapter& operator=(const AttachedAdapter&) = delete;

  const AdapterConfig& config() const override { return config_; }
  NamedTensors named_parameters() const override;
  NamedTensors file_tensors() const override;
  AdapterConfig file_config() const override;
  std::vector<std::string> modules() const override;
  void set_enabled(bool enabled) override;
  bool enabled() const override { return enabled_; }
  void set_weight(double weight) override;
  void select_rows(const torch::Tensor& rows) override;
  void merge() override;
  void unmerge() override;
  bool merged() const override { return merged_; }
  bool changes_weight(const std::string& module) const override;
  torch::Tensor delta(const std::string& module) const override;
  torch::Tensor bias_delta(const std::string& module) const override;
  std::int64_t first_layer() const override;

 private:
  std::vector<const Attachment*> attachments_of(const std::string& module) const;
  void check_alone() const;
  void rewrite_if_merged();

  AdapterConfig config_;
  std::vector<Part> parts_;
  NamedTensors shared_;
  bool enabled_ = true;
  bool merged_ = false;
};

/// Makes what is attached to the module at a path.
using MakeAttachment =
    std::function<std::shared_ptr<Attachment>(const std::string& module, const Adaptable& target)>;

/// The parts of an adapter on `modules`, in model order.
std::vector<AttachedAdapter::Part> make_parts(
    const Decoder& model, const std::vector<std::string>& modules, const MakeAttachment& make);

/// The module at a path, shared with the model; `kInvalidArgument` when adapters know none there.
Adaptable find_module(const Decoder& model, const std::string& path);
/// A table of vectors, of tokens or of positions.
bool is_table(const AdaptableImpl& module);
/// Whether it has a matrix of its own for linear algebra: a linear layer, the output head, a table.
bool has_matrix(const AdaptableImpl& module);
/// [out, in] of a linear layer; of a table, which is one on tokens as unit vectors,
/// [hidden, entries].
std::pair<std::int64_t, std::int64_t> matrix_shape(const AdaptableImpl& module);

/// The first layer whose input or inside a module touches: 0 for tables, the number of layers for
/// the final norm and the output head.
std::int64_t lowest_layer(const DecoderConfig& config, const std::string& module);

/// The layer that a module path names first: 3 for `model.layers.3.mlp.up_proj`; 0 without a
/// number.
std::int64_t layer_of(const std::string& module);

} // namespace errata::peft
