#include "core/flat_parameters.h"

#include "core/base/error.h"

#include <algorithm>
#include <set>

namespace errata {
namespace {

// Elements between parameters are padded to a cache line, so that kernels see the same alignment
// whatever stands in front: that keeps results independent of the selection's order in memory.
constexpr std::int64_t kAlignment = 16;

std::int64_t padded(std::int64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

bool is_matrix(const torch::Tensor& tensor) {
  return tensor.dim() == 2;
}

} // namespace

torch::Tensor MatrixStack::view(const torch::Tensor& flat) const {
  return flat.as_strided({count, rows, cols}, {stride, cols, 1}, flat.storage_offset() + offset);
}

FlatParameters::FlatParameters(std::vector<std::vector<NamedTensor>> groups) {
  for (std::vector<NamedTensor>& group : groups) {
    append(std::move(group));
  }
  ERRATA_CHECK(!entries_.empty(), ErrorCode::kInternal, "nothing to train: no parameters given");
  std::set<const void*> seen;
  for (const Entry& entry : entries_) {
    ERRATA_CHECK(
        entry.parameter.is_leaf() && seen.insert(entry.parameter.unsafeGetTensorImpl()).second,
        ErrorCode::kInternal,
        "parameter '",
        entry.name,
        "' is given twice or is not a leaf");
  }
  const torch::NoGradGuard no_grad;
  const auto options =
      torch::TensorOptions(torch::kFloat32).device(entries_.front().parameter.device());
  const Group& last = groups_.back();
  values_ = torch::zeros({last.offset + last.size}, options);
  gradients_ = torch::zeros_like(values_);
  for (Entry& entry : entries_) {
    const torch::Tensor place = part(values_, entry);
    place.copy_(entry.parameter);
    entry.parameter.set_data(place);
    // A gradient that is there already is added to in place: autograd never allocates one.
    entry.parameter.mutable_grad() = part(gradients_, entry);
  }
}

FlatParameters::~FlatParameters() {
  for (Entry& entry : entries_) {
    entry.parameter.mutable_grad().reset();
  }
}

void FlatParameters::append(std::vector<NamedTensor> group) {
  std::stable_sort(group.begin(), group.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const auto key = [](const torch::Tensor& t) {
      return std::make_pair(is_matrix(t) ? 0 : 1, t.sizes().vec());
    };
    return key(a.second) < key(b.second);
  });
  Group info;
  info.first = entries_.size();
  info.count = group.size();
  info.offset = groups_.empty() ? 0 : groups_.back().offset + groups_.back().size;
  std::int64_t offset = info.offset;
  for (auto& [name, tensor] : group) {
    if (is_matrix(tensor)) {
      const std::int64_t rows = tensor.size(0);
      const std::int64_t cols = tensor.size(1);
      if (!info.stacks.empty() && info.stacks.back().rows == rows &&
          info.stacks.back().cols == cols) {
        ++info.stacks.back().count;
      } else {
        info.stacks.push_back({offset, padded(rows * cols), 1, rows, cols});
      }
    }
    const std::int64_t size = tensor.numel();
    entries_.push_back({std::move(name), std::move(tensor), offset, size});
    offset += padded(size);
  }
  info.size = offset - info.offset;
  groups_.push_back(std::move(info));
}

torch::Tensor FlatParameters::values(const Group& group) const {
  return values_.narrow(0, group.offset, group.size);
}

torch::Tensor FlatParameters::gradients(const Group& group) const {
  return gradients_.narrow(0, group.offset, group.size);
}

torch::Tensor FlatParameters::part(const torch::Tensor& flat, const Entry& entry) {
  return flat.narrow(0, entry.offset, entry.size).view(entry.parameter.sizes());
}

std::int64_t FlatParameters::count() const {
  std::int64_t total = 0;
  for (const Entry& entry : entries_) {
    total += entry.size;
  }
  return total;
}

std::string FlatParameters::layout() const {
  std::string text;
  for (const Entry& entry : entries_) {
    text += concat(entry.name, entry.parameter.sizes(), "@", entry.offset, ";");
  }
  return text;
}

} // namespace errata
