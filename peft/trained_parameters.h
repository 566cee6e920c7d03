#pragma once

#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"

#include <string>
#include <vector>

namespace errata::peft {

/// A whole trained copy of a module's parameters: PEFT's modules_to_save. Starts as the base.
class CopyAttachment final : public BoundAttachment {
 public:
  CopyAttachment(Adaptable module, Start start);

  NamedTensors named_tensors() const override;
  bool reentrant() const override { return true; }
  NamedTensors file_tensors() const override;

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;
  torch::Tensor bias_change() const override;
  const ModuleParameters* whole() const override { return &parameters_; }

 private:
  ModuleParameters parameters_;
};

/// A trained bias in the place of the base's: PEFT's `bias`. Its file calls it `name`.
class BiasAttachment final : public BoundAttachment {
 public:
  BiasAttachment(Adaptable module, std::string name, Start start);

  NamedTensors named_tensors() const override { return {{name_, bias_}}; }
  bool changes_weight() const override { return false; }
  bool reentrant() const override { return true; }

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override { return {}; }
  torch::Tensor bias_change() const override;

 private:
  std::string name_;
  torch::Tensor bias_;
};

/// Whether `modules_to_save` takes the module at `path`, or one that it is part of. As PEFT does,
/// an entry takes every module whose path ends in it, at a dot or not.
bool saves_module(const std::vector<std::string>& modules_to_save, const std::string& path);

/// An adapter of `parts` and of what `config` trains whole: `trained_bias` and `modules_to_save`.
/// A bias or module that is no `Adaptable`, or a module that has a part already, is
/// `kUnsupported`.
std::unique_ptr<Adapter> with_trained_parameters(
    const Decoder& model,
    AdapterConfig config,
    std::vector<AttachedAdapter::Part> parts,
    Start start,
    NamedTensors shared = {});

/// An entry of `modules_to_save` that takes nothing would silently train another adapter than was
/// asked for.
void check_modules_to_save(const Decoder& model, const AdapterConfig& config);

} // namespace errata::peft
