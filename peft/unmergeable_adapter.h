#pragma once

#include "peft/adapter.h"
#include "peft/attachment.h"

#include <memory>
#include <string>

namespace errata::peft {

/// What adapters without a change of weights have in common.
class UnmergeableAdapter : public Adapter {
 public:
  explicit UnmergeableAdapter(AdapterConfig config) : config_(std::move(config)) {}

  const AdapterConfig& config() const override { return config_; }
  NamedTensors file_tensors() const override { return named_parameters(); }
  AdapterConfig file_config() const override { return config_; }
  void set_enabled(bool enabled) override { *enabled_ = enabled; }
  bool enabled() const override { return *enabled_; }
  void set_weight(double weight) override;
  void select_rows(const torch::Tensor& rows) override;
  bool can_merge() const override { return false; }
  void merge() override;
  void unmerge() override {}
  bool merged() const override { return false; }
  torch::Tensor delta(const std::string& module) const override;
  torch::Tensor bias_delta(const std::string& module) const override;

 protected:
  /// Shared with what is attached.
  const std::shared_ptr<bool>& switch_state() const { return enabled_; }

 private:
  [[noreturn]] void fail_to_merge() const;

  AdapterConfig config_;
  std::shared_ptr<bool> enabled_ = std::make_shared<bool>(true);
};

} // namespace errata::peft
