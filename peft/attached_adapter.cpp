#include "peft/attached_adapter.h"

#include "core/base/error.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace errata::peft {

AttachedAdapter::AttachedAdapter(AdapterConfig config, std::vector<Part> parts)
    : config_(std::move(config)), parts_(std::move(parts)) {
  for (Part& part : parts_) {
    part.linear->attach(part.attachment);
  }
}

AttachedAdapter::~AttachedAdapter() {
  unmerge();
  for (Part& part : parts_) {
    part.linear->detach(part.attachment.get());
  }
}

std::vector<std::pair<std::string, torch::Tensor>> AttachedAdapter::named_parameters() const {
  std::vector<std::pair<std::string, torch::Tensor>> parameters;
  for (const Part& part : parts_) {
    for (const auto& [name, tensor] : part.attachment->named_tensors()) {
      parameters.emplace_back(part.module + "." + name, tensor);
    }
  }
  return parameters;
}

std::vector<std::string> AttachedAdapter::modules() const {
  std::vector<std::string> names;
  names.reserve(parts_.size());
  for (const Part& part : parts_) {
    names.push_back(part.module);
  }
  return names;
}

void AttachedAdapter::set_enabled(bool enabled) {
  enabled_ = enabled;
  for (Part& part : parts_) {
    part.attachment->enabled = enabled;
  }
  rewrite_if_merged();
}

void AttachedAdapter::set_weight(double weight) {
  for (Part& part : parts_) {
    part.attachment->weight = weight;
  }
  rewrite_if_merged();
}

void AttachedAdapter::merge() {
  if (merged_) {
    return;
  }
  merged_ = true;
  for (Part& part : parts_) {
    LinearImpl& linear = *part.linear;
    auto kept = kept_weight(linear);
    if (kept == nullptr) {
      // `data()` shares the storage but not the parameter, whose tensor is about to be replaced.
      kept = std::make_shared<KeptWeight>(KeptWeight{linear.weight.data()});
    }
    part.attachment->kept = std::move(kept);
    rewrite_merged_weight(linear, *part.attachment->kept);
  }
}

void AttachedAdapter::unmerge() {
  if (!merged_) {
    return;
  }
  merged_ = false;
  for (Part& part : parts_) {
    const auto kept = std::move(part.attachment->kept);
    part.attachment->kept = nullptr;
    rewrite_merged_weight(*part.linear, *kept);
  }
}

void AttachedAdapter::rewrite_if_merged() {
  if (!merged_) {
    return;
  }
  for (Part& part : parts_) {
    rewrite_merged_weight(*part.linear, *part.attachment->kept);
  }
}

torch::Tensor AttachedAdapter::delta(const std::string& module) const {
  const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const Part& candidate) {
    return candidate.module == module;
  });
  ERRATA_CHECK(
      part != parts_.end(), ErrorCode::kNotFound, "the adapter does not touch module ", module);
  return part->attachment->delta();
}

std::int64_t AttachedAdapter::first_layer() const {
  std::int64_t first = layer_of(parts_.front().module);
  for (const Part& part : parts_) {
    first = std::min(first, layer_of(part.module));
  }
  return first;
}

Linear find_linear(const Decoder& model, const std::string& module) {
  for (auto& [name, linear] : model->linears()) {
    if (name == module) {
      return linear;
    }
  }
  ERRATA_FAIL(ErrorCode::kInvalidArgument, "the model has no linear layer '", module, "'");
}

std::int64_t layer_of(const std::string& module) {
  std::istringstream path(module);
  std::string component;
  while (std::getline(path, component, '.')) {
    std::int64_t index = 0;
    const char* end = component.data() + component.size();
    const auto [stop, status] = std::from_chars(component.data(), end, index);
    if (status == std::errc{} && stop == end) {
      return index;
    }
  }
  return 0;
}

} // namespace errata::peft
