#include "peft/attached_adapter.h"

#include "core/base/error.h"
#include "peft/adapter_parts.h"
#include "peft/lora.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

namespace errata::peft {

AttachedAdapter::AttachedAdapter(AdapterConfig config, std::vector<Part> parts, NamedTensors shared)
    : config_(std::move(config)), parts_(std::move(parts)), shared_(std::move(shared)) {
  check_alone();
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

// Adapters whose change depends on what else a module computes have no defined sum.
void AttachedAdapter::check_alone() const {
  for (const Part& part : parts_) {
    for (const auto& entry : part.linear->attachments()) {
      const auto* other = dynamic_cast<const Attachment*>(entry.get());
      ERRATA_CHECK(
          other == nullptr || other == part.attachment.get() || !other->enabled ||
              (other->additive() && part.attachment->additive()),
          ErrorCode::kUnsupported,
          "two adapters on ",
          part.module,
          ", one of which (DoRA or IA3) does not add up with others; merge one into the base "
          "first (export --to merged)");
    }
  }
}

NamedTensors AttachedAdapter::named_parameters() const {
  return tensors_of_parts(parts_);
}

NamedTensors AttachedAdapter::file_tensors() const {
  NamedTensors tensors;
  for (const Part& part : parts_) {
    for (const auto& [name, tensor] : part.attachment->file_tensors()) {
      tensors.emplace_back(part.module + "." + name, tensor);
    }
  }
  tensors.insert(tensors.end(), shared_.begin(), shared_.end());
  return tensors;
}

AdapterConfig AttachedAdapter::file_config() const {
  return plain_lora(config_);
}

std::vector<std::string> AttachedAdapter::modules() const {
  return modules_of_parts(parts_);
}

void AttachedAdapter::set_enabled(bool enabled) {
  if (enabled && !enabled_) {
    check_alone();
  }
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

void AttachedAdapter::select_rows(const torch::Tensor& rows) {
  ERRATA_CHECK(
      !merged_ || !rows.defined(),
      ErrorCode::kInternal,
      "a merged adapter is in all rows; unmerge it first");
  // A decoder is on one device.
  const torch::Tensor here =
      rows.defined() ? rows.to(parts_.front().linear->weight.device()) : torch::Tensor();
  for (Part& part : parts_) {
    part.attachment->rows = here;
  }
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
      kept = std::make_shared<KeptWeight>(KeptWeight{
          linear.weight.data(), linear.bias.defined() ? linear.bias.data() : torch::Tensor()});
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

const AttachedAdapter::Part& AttachedAdapter::part(const std::string& module) const {
  const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const Part& candidate) {
    return candidate.module == module;
  });
  ERRATA_CHECK(
      found != parts_.end(), ErrorCode::kNotFound, "the adapter does not touch module ", module);
  return *found;
}

torch::Tensor AttachedAdapter::delta(const std::string& module) const {
  return part(module).attachment->delta();
}

torch::Tensor AttachedAdapter::bias_delta(const std::string& module) const {
  return part(module).attachment->bias_delta();
}

std::int64_t AttachedAdapter::first_layer() const {
  std::int64_t first = layer_of(parts_.front().module);
  for (const Part& part : parts_) {
    first = std::min(first, layer_of(part.module));
  }
  return first;
}

std::vector<AttachedAdapter::Part> make_parts(
    const Decoder& model, const std::vector<std::string>& modules, const MakeAttachment& make) {
  const std::set<std::string> selected(modules.begin(), modules.end());
  std::vector<AttachedAdapter::Part> parts;
  for (const auto& [path, linear] : model->linears()) {
    if (selected.contains(path)) {
      parts.push_back({path, linear, make(path, linear)});
    }
  }
  return parts;
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
