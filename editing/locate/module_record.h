#pragma once

#include "core/decoder.h"

#include <memory>
#include <string>

namespace errata::editing {

/// While it lives, keeps what a linear layer got and gave in the last pass that it was part of.
class ModuleRecord {
 public:
  /// `module` is a path as `DecoderImpl::linears` has it; another one is `kInternal`.
  ModuleRecord(const Decoder& model, const std::string& module);
  ~ModuleRecord();
  ModuleRecord(const ModuleRecord&) = delete;
  ModuleRecord& operator=(const ModuleRecord&) = delete;

  const torch::Tensor& input() const;  ///< [rows, in]
  const torch::Tensor& output() const; ///< [rows, out]

 private:
  class Listener;

  Linear linear_{nullptr};
  std::shared_ptr<Listener> listener_;
};

} // namespace errata::editing
