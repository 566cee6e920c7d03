#include "peft/trained_parameters.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <algorithm>
#include <map>
#include <set>

namespace errata::peft {
namespace {

using Part = AttachedAdapter::Part;

torch::Tensor whole_leaf(const torch::Tensor& base, Start start) {
  const torch::Tensor value =
      start == Start::kFromFile
          ? torch::empty(base.sizes(), torch::TensorOptions().device(base.device()))
          : base.detach().to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true).contiguous();
  return value.detach().requires_grad_(true);
}

torch::Tensor difference(const torch::Tensor& trained, const torch::Tensor& base) {
  return trained.detach() - base.detach().to(torch::kFloat32);
}

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

bool is_bias(const std::string& parameter) {
  return parameter.ends_with(".bias");
}

using Places = std::map<std::string, std::size_t>; ///< of modules, by their path

// Parameters that the config trains must be those of modules that adapters can be attached to.
void check_reach(const Decoder& model, const AdapterConfig& config, const Places& reached) {
  for (const auto& item : model->named_parameters()) {
    const std::string module = module_of(item.key());
    const bool saved = saves_module(config.modules_to_save, module);
    const bool wanted = saved || (config.trained_bias == TrainedBias::kAll && is_bias(item.key()));
    ERRATA_CHECK(
        !wanted || reached.contains(module),
        ErrorCode::kUnsupported,
        saved ? "modules_to_save" : "bias all",
        " takes ",
        item.key(),
        ", a part of a recurrent block, which errata does not train whole; name other modules",
        saved ? "" : ", or train the biases of the targets only");
  }
}

void check_untouched(const std::string& path, const std::vector<Part>& parts) {
  ERRATA_CHECK(
      std::none_of(
          parts.begin(), parts.end(), [&](const Part& part) { return part.module == path; }),
      ErrorCode::kUnsupported,
      "modules_to_save takes ",
      path,
      ", which is also a target; PEFT would copy the adapter with it. Take it out of one of the "
      "two");
}

} // namespace

CopyAttachment::CopyAttachment(Adaptable adapted, Start start)
    : BoundAttachment(std::move(adapted)) {
  const auto [weight_of_base, bias_of_base] = module().own();
  parameters_.weight = whole_leaf(weight_of_base, start);
  if (bias_of_base.defined()) {
    parameters_.bias = whole_leaf(bias_of_base, start);
  }
}

NamedTensors CopyAttachment::named_tensors() const {
  NamedTensors tensors = {{"weight", parameters_.weight}};
  if (parameters_.bias.defined()) {
    tensors.emplace_back("bias", parameters_.bias);
  }
  return tensors;
}

NamedTensors CopyAttachment::file_tensors() const {
  NamedTensors tensors = named_tensors();
  const auto* const linear = dynamic_cast<const LinearImpl*>(&module());
  if (linear != nullptr && linear->transposed_in_files) {
    tensors.front().second = parameters_.weight.t();
  }
  return tensors;
}

torch::Tensor CopyAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  const torch::Dtype dtype = y.scalar_type();
  const torch::Tensor change =
      module().compute(x, parameters_, dtype) - module().compute(x, base(), dtype);
  return y + (weight == 1.0 ? change : change * weight);
}

torch::Tensor CopyAttachment::change() const {
  return difference(parameters_.weight, base().weight);
}

torch::Tensor CopyAttachment::bias_change() const {
  return parameters_.bias.defined() ? difference(parameters_.bias, base().bias) : torch::Tensor();
}

BiasAttachment::BiasAttachment(Adaptable adapted, std::string name, Start start)
    : BoundAttachment(std::move(adapted)),
      name_(std::move(name)),
      bias_(whole_leaf(module().bias, start)) {}

torch::Tensor BiasAttachment::branch(const torch::Tensor& /*x*/, const torch::Tensor& y) {
  const torch::Tensor change = bias_ - base().bias.detach().to(torch::kFloat32);
  return y + (weight == 1.0 ? change : change * weight).to(y.scalar_type());
}

torch::Tensor BiasAttachment::bias_change() const {
  return difference(bias_, base().bias);
}

bool saves_module(const std::vector<std::string>& modules_to_save, const std::string& path) {
  for (std::size_t end = path.find('.');; end = path.find('.', end + 1)) {
    const std::string_view module = std::string_view(path).substr(0, end);
    if (std::any_of(modules_to_save.begin(), modules_to_save.end(), [&](const auto& entry) {
          return module.ends_with(entry);
        })) {
      return true;
    }
    if (end == std::string::npos) {
      return false;
    }
  }
}

std::unique_ptr<Adapter> with_trained_parameters(
    const Decoder& model,
    AdapterConfig config,
    std::vector<Part> parts,
    Start start,
    NamedTensors shared) {
  Places order;
  std::set<std::string> targets;
  for (const Part& part : parts) {
    targets.insert(part.module);
  }
  std::vector<Part> whole;
  for (const auto& [path, target] : model->adaptables()) {
    order.emplace(path, order.size());
    const auto add = [&, path = path, target = target](std::shared_ptr<Attachment> attachment) {
      whole.push_back({path, target, std::move(attachment), lowest_layer(model->config(), path)});
    };
    const bool is_target = targets.contains(path);
    if (saves_module(config.modules_to_save, path)) {
      check_untouched(path, parts);
      add(std::make_shared<CopyAttachment>(target, start));
    } else if (
        target->bias.defined() && (config.trained_bias == TrainedBias::kAll ||
                                   (config.trained_bias == TrainedBias::kTargets && is_target))) {
      const char* const name = is_target ? "base_layer.bias" : "bias";
      add(std::make_shared<BiasAttachment>(target, name, start));
    }
  }
  check_reach(model, config, order);
  // A bias after its module's own part, which counts on the base's.
  parts.insert(
      parts.end(), std::make_move_iterator(whole.begin()), std::make_move_iterator(whole.end()));
  std::stable_sort(parts.begin(), parts.end(), [&](const Part& a, const Part& b) {
    return order.at(a.module) < order.at(b.module);
  });
  return std::make_unique<AttachedAdapter>(std::move(config), std::move(parts), std::move(shared));
}

void check_modules_to_save(const Decoder& model, const AdapterConfig& config) {
  for (const std::string& entry : config.modules_to_save) {
    std::vector<std::string> paths;
    bool found = false;
    for (const auto& [path, target] : model->adaptables()) {
      found = found || saves_module({entry}, path);
      paths.push_back(path.substr(path.rfind('.') + 1));
    }
    const std::string nearest = nearest_name(entry, paths);
    ERRATA_CHECK(
        found,
        ErrorCode::kInvalidArgument,
        "modules_to_save '",
        entry,
        "' is the end of no module's path in the model; ",
        nearest.empty() ? "name norms, the embedding, the head or other modules with weights"
                        : concat("did you mean '", nearest, "'?"));
  }
}

} // namespace errata::peft
