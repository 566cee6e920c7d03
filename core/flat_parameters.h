#pragma once

#include "core/torch.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace errata {

using NamedTensor = std::pair<std::string, torch::Tensor>;

/// Same-shaped matrices that lie one after the other in a flat buffer.
struct MatrixStack {
  std::int64_t offset = 0;
  std::int64_t stride = 0; ///< elements from one matrix to the next
  std::int64_t count = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  /// [count, rows, cols] over the storage of `flat`.
  torch::Tensor view(const torch::Tensor& flat) const;
};

/// Moves trainable tensors into one float32 buffer and their gradients into a second, so that
/// norms, clipping, optimizers and pulls towards a base are one kernel each instead of one a
/// tensor.
///
/// The tensors keep their identity and shape; their data become views of the buffer (in float32)
/// and stay there when this object is gone. Within a group, matrices of one shape lie together.
class FlatParameters {
 public:
  struct Entry {
    std::string name;
    torch::Tensor parameter;
    std::int64_t offset = 0;
    std::int64_t size = 0;
  };
  /// Entries [first, first + count) at elements [offset, offset + size) of the buffers.
  struct Group {
    std::size_t first = 0;
    std::size_t count = 0;
    std::int64_t offset = 0;
    std::int64_t size = 0;
    std::vector<MatrixStack> stacks; ///< its matrices
  };

  /// All tensors must be leaves on one device, none of them twice (`kInternal`).
  explicit FlatParameters(std::vector<std::vector<NamedTensor>> groups);
  /// Drops the gradients.
  ~FlatParameters();
  FlatParameters(const FlatParameters&) = delete;
  FlatParameters& operator=(const FlatParameters&) = delete;

  torch::Tensor& values() { return values_; }
  torch::Tensor& gradients() { return gradients_; }
  torch::Tensor values(const Group& group) const;
  torch::Tensor gradients(const Group& group) const;

  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<Group>& groups() const { return groups_; }
  /// The part of a buffer shaped like `values()` that belongs to `entry`, in its shape.
  static torch::Tensor part(const torch::Tensor& flat, const Entry& entry);

  std::int64_t count() const; ///< trainable numbers, padding not counted
  /// Names, shapes and places in the buffer: equal layouts can exchange buffers.
  std::string layout() const;

 private:
  void append(std::vector<NamedTensor> group);

  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  torch::Tensor values_;
  torch::Tensor gradients_;
};

} // namespace errata
