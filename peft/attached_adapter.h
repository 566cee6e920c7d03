#pragma once

#include "peft/adapter.h"
#include "peft/attachment.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

/// An adapter made of attachments to linears. Constructing it attaches, destroying it unmerges and
/// detaches.
class AttachedAdapter final : public Adapter {
 public:
  struct Part {
    std::string module;
    Linear linear{nullptr};
    std::shared_ptr<Attachment> attachment; ///< shared with the linear
  };

  /// `parts` in model order; `shared` are fixed tensors that the file holds once.
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
  torch::Tensor delta(const std::string& module) const override;
  torch::Tensor bias_delta(const std::string& module) const override;
  std::int64_t first_layer() const override;

 private:
  const Part& part(const std::string& module) const;
  void check_alone() const;
  void rewrite_if_merged();

  AdapterConfig config_;
  std::vector<Part> parts_;
  NamedTensors shared_;
  bool enabled_ = true;
  bool merged_ = false;
};

/// Makes what is attached to the linear at a path.
using MakeAttachment =
    std::function<std::shared_ptr<Attachment>(const std::string& module, const Linear& linear)>;

/// The parts of an adapter on `modules`, in model order.
std::vector<AttachedAdapter::Part> make_parts(
    const Decoder& model, const std::vector<std::string>& modules, const MakeAttachment& make);

/// The linears of `model` by path. The pointers are shared with the model.
Linear find_linear(const Decoder& model, const std::string& module);

/// The layer that a module path names first: 3 for `model.layers.3.mlp.up_proj`; 0 without a
/// number.
std::int64_t layer_of(const std::string& module);

} // namespace errata::peft
