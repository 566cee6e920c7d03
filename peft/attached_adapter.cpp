#include "peft/attached_adapter.h"

#include "core/base/error.h"
#include "core/token_embedding.h"
#include "peft/adapter_parts.h"
#include "peft/lora.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

namespace errata::peft {

namespace {

// Undefined where none of them changes anything.
torch::Tensor sum_of(
    const std::vector<const Attachment*>& attachments,
    torch::Tensor (Attachment::*change)() const) {
  torch::Tensor sum;
  for (const Attachment* attachment : attachments) {
    const torch::Tensor one = (attachment->*change)();
    if (one.defined()) {
      sum = sum.defined() ? sum.add_(one) : one;
    }
  }
  return sum;
}

} // namespace

AttachedAdapter::AttachedAdapter(AdapterConfig config, std::vector<Part> parts, NamedTensors shared)
    : config_(std::move(config)), parts_(std::move(parts)), shared_(std::move(shared)) {
  check_alone();
  for (Part& part : parts_) {
    part.target->attach(part.attachment);
  }
}

AttachedAdapter::~AttachedAdapter() {
  unmerge();
  for (Part& part : parts_) {
    part.target->detach(part.attachment.get());
  }
}

// Adapters whose change depends on what else a module computes have no defined sum.
void AttachedAdapter::check_alone() const {
  std::set<const ModuleAttachment*> own;
  for (const Part& part : parts_) {
    own.insert(part.attachment.get());
  }
  for (const Part& part : parts_) {
    for (const auto& entry : part.target->attachments()) {
      const auto* other = dynamic_cast<const Attachment*>(entry.get());
      ERRATA_CHECK(
          other == nullptr || own.contains(other) || !other->enabled ||
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
      rows.defined() ? rows.to(parts_.front().target->weight.device()) : torch::Tensor();
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
    auto kept = kept_parameters(*part.target);
    if (kept == nullptr) {
      kept = std::make_shared<const ModuleParameters>(part.target->own());
    }
    part.attachment->kept = std::move(kept);
    rewrite_merged(*part.target, *part.attachment->kept);
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
    rewrite_merged(*part.target, *kept);
  }
}

void AttachedAdapter::rewrite_if_merged() {
  if (!merged_) {
    return;
  }
  for (Part& part : parts_) {
    rewrite_merged(*part.target, *part.attachment->kept);
  }
}

std::vector<const Attachment*> AttachedAdapter::attachments_of(const std::string& module) const {
  std::vector<const Attachment*> found;
  for (const Part& part : parts_) {
    if (part.module == module) {
      found.push_back(part.attachment.get());
    }
  }
  ERRATA_CHECK(!found.empty(), ErrorCode::kNotFound, "the adapter does not touch module ", module);
  return found;
}

bool AttachedAdapter::changes_weight(const std::string& module) const {
  const auto attachments = attachments_of(module);
  return std::any_of(attachments.begin(), attachments.end(), [](const Attachment* attachment) {
    return attachment->changes_weight();
  });
}

torch::Tensor AttachedAdapter::delta(const std::string& module) const {
  return sum_of(attachments_of(module), &Attachment::delta);
}

torch::Tensor AttachedAdapter::bias_delta(const std::string& module) const {
  return sum_of(attachments_of(module), &Attachment::bias_delta);
}

std::int64_t AttachedAdapter::first_layer() const {
  std::int64_t first = parts_.front().layer;
  for (const Part& part : parts_) {
    first = std::min(first, part.layer);
  }
  return first;
}

std::vector<AttachedAdapter::Part> make_parts(
    const Decoder& model, const std::vector<std::string>& modules, const MakeAttachment& make) {
  const std::set<std::string> selected(modules.begin(), modules.end());
  std::vector<AttachedAdapter::Part> parts;
  for (const auto& [path, target] : model->adaptables()) {
    if (selected.contains(path)) {
      parts.push_back({path, target, make(path, target), lowest_layer(model->config(), path)});
    }
  }
  return parts;
}

Adaptable find_module(const Decoder& model, const std::string& path) {
  for (auto& [name, module] : model->adaptables()) {
    if (name == path) {
      return module;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, "the model has no module '", path, "' that adapters can change");
}

bool is_table(const AdaptableImpl& module) {
  return dynamic_cast<const TokenEmbeddingImpl*>(&module) != nullptr;
}

bool has_matrix(const AdaptableImpl& module) {
  return is_table(module) || dynamic_cast<const LinearImpl*>(&module) != nullptr;
}

std::pair<std::int64_t, std::int64_t> matrix_shape(const AdaptableImpl& module) {
  const torch::Tensor& weight = module.weight;
  return is_table(module) ? std::pair(weight.size(1), weight.size(0))
                          : std::pair(weight.size(0), weight.size(1));
}

std::int64_t lowest_layer(const DecoderConfig& config, const std::string& module) {
  const ModuleNames& names = config.names;
  if (module.starts_with(concat(names.root, ".", names.layers, "."))) {
    return layer_of(module);
  }
  const bool after = module == kHeadName || module == concat(names.root, ".", names.final_norm);
  return after ? config.num_layers() : 0;
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
