#pragma once

#include "core/decoder.h"
#include "core/flat_parameters.h"
#include "peft/adapter.h"

#include <memory>
#include <string>
#include <vector>

namespace errata::editing {

/// A scope in which an editor may change a model. Leaving it without `commit` puts every opened
/// weight back, bit for bit, and removes adopted adapters.
///
/// Weights are never written in place: `open` puts a float32 copy where the weight was and keeps
/// the original tensor (which may be a mapped file), so that undoing is an exchange of pointers.
class EditSession {
 public:
  explicit EditSession(Decoder model) : model_(std::move(model)) {}
  ~EditSession();
  EditSession(const EditSession&) = delete;
  EditSession& operator=(const EditSession&) = delete;

  /// Makes the weight of linear `module` editable and returns it: the model's own parameter,
  /// float32 [out, in]. A second call returns it again; an unknown module is `kInvalidArgument`.
  torch::Tensor open(const std::string& module);
  /// Takes over an adapter that an editor has attached.
  peft::Adapter& adopt(std::unique_ptr<peft::Adapter> adapter);

  /// Makes the model compute the base (true) or the edited model again (false).
  void show_base(bool base);
  /// Edited minus base weight of every opened module, float32.
  std::vector<NamedTensor> deltas() const;

  /// Undoes everything now.
  void rollback() noexcept;
  /// Keeps the changed weights and hands adopted adapters to the caller.
  std::vector<std::unique_ptr<peft::Adapter>> commit();

 private:
  struct Opened {
    std::string module;
    torch::Tensor parameter; ///< the model's
    torch::Tensor original;  ///< what was in it
    torch::Tensor edited;    ///< set while the base is shown
  };

  Decoder model_;
  std::vector<Opened> opened_;
  std::vector<std::unique_ptr<peft::Adapter>> adapters_;
};

} // namespace errata::editing
