#pragma once

#include "core/torch.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

// The attachment places (architecture.md) but the first, modules with a weight (core/adaptable.h,
// which says what `reentrant` means). `core` owns the interfaces, `peft` implements them.

namespace errata {

class SelfAttentionImpl;

/// Place 2: what an adapter does to a sub-layer of a block, attention or MLP.
class BlockAttachment {
 public:
  virtual ~BlockAttachment() = default;

  /// What is added to the residual stream instead of `f` [rows, hidden], the sub-layer's result;
  /// `x` [rows, hidden] is the stream before it.
  virtual torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& f) = 0;
  virtual bool reentrant() const { return false; }
};

/// Queries [rows, heads * head_dim], keys and values [rows, kv_heads * head_dim].
struct Projections {
  torch::Tensor q;
  torch::Tensor k;
  torch::Tensor v;
};

/// Place 3: what an adapter does to the attention of one layer.
class AttentionAttachment {
 public:
  virtual ~AttentionAttachment() = default;

  /// A pass begins that goes over its sequences from their start: what was computed for earlier
  /// ones may be out of date. Passes that go on with a cache do not call it.
  virtual void begin() {}

  /// Keys and values [length, kv_heads * head_dim] of the positions that an `InputAttachment` puts
  /// in front, instead of the computed ones; undefined: none.
  virtual std::pair<torch::Tensor, torch::Tensor> prefix() { return {}; }
  /// Added to the result of the attention [rows, heads * head_dim], or to its output projection
  /// (`after_projection`); undefined: nothing. What is given has been rotated.
  virtual torch::Tensor extra(
      SelfAttentionImpl& /*attention*/, const Projections& /*projections*/) {
    return {};
  }
  virtual bool after_projection() const { return false; }
  virtual bool reentrant() const { return false; }
};

/// Place 4: positions before the first token of every sequence.
class InputAttachment {
 public:
  virtual ~InputAttachment() = default;

  virtual bool active() const = 0;
  virtual std::int64_t length() const = 0;
  /// What stands there instead of token vectors [length, hidden].
  virtual torch::Tensor vectors() = 0;
  virtual bool reentrant() const { return false; }
};

/// What is attached to one place, shared because an adapter keeps the pieces it attached.
template <typename Attachment>
class AttachmentList {
 public:
  void attach(std::shared_ptr<Attachment> attachment) { held_.push_back(std::move(attachment)); }
  void detach(const Attachment* attachment) {
    std::erase_if(held_, [&](const auto& held) { return held.get() == attachment; });
  }
  bool empty() const { return held_.empty(); }
  bool reentrant() const {
    return std::all_of(
        held_.begin(), held_.end(), [](const auto& held) { return held->reentrant(); });
  }
  auto begin() const { return held_.begin(); }
  auto end() const { return held_.end(); }

 private:
  std::vector<std::shared_ptr<Attachment>> held_;
};

} // namespace errata
