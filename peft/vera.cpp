#include "peft/vera.h"

#include "core/base/error.h"
#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/lora.h"
#include "peft/trained_parameters.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {
namespace {

constexpr const char* kSharedA = "base_model.vera_A";
constexpr const char* kSharedB = "base_model.vera_B";

void check_vera(const AdapterConfig& config) {
  check_field("VeRA rank", static_cast<double>(config.r), 1, 1 << 20);
  check_dropout("vera_dropout", config.lora_dropout);
  check_field("d_initial", config.vera.d_initial, -1e6, 1e6);
}

void read_vera(const ConfigFile& file, AdapterConfig& config) {
  const JsonFields& fields = file.fields;
  config.r = fields.optional<std::int64_t>("r", 256);
  config.lora_dropout = fields.optional<double>("vera_dropout", 0.0);
  config.vera.projection_prng_key = fields.optional<std::uint64_t>("projection_prng_key", 0);
  config.vera.save_projection = fields.optional<bool>("save_projection", true);
  config.vera.d_initial = fields.optional<double>("d_initial", 0.1);
}

void write_vera(const AdapterConfig& config, OrderedJson& json) {
  json["r"] = config.r;
  json["vera_dropout"] = config.lora_dropout;
  json["projection_prng_key"] = config.vera.projection_prng_key;
  json["save_projection"] = config.vera.save_projection;
  json["d_initial"] = config.vera.d_initial;
  json["init_weights"] = true;
}

// Kaiming-uniform with the gain of ReLU, as PEFT draws the shared pair.
torch::Tensor random_projection(
    std::int64_t rows, std::int64_t fan_in, torch::Generator& generator) {
  const double bound = std::sqrt(3.0) * std::sqrt(2.0) / std::sqrt(static_cast<double>(fan_in));
  return torch::empty({rows, fan_in}).uniform_(-bound, bound, generator);
}

torch::Tensor trained_vector(std::int64_t size, double value, const torch::Device& device) {
  return torch::full({size}, value, torch::TensorOptions().device(device)).requires_grad_(true);
}

std::unique_ptr<Adapter> attach_vera(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t /*seed*/) {
  std::int64_t in = 0;
  std::int64_t out = 0;
  for (const std::string& module : modules) {
    const Adaptable linear = find_module(model, module);
    in = std::max(in, linear->weight.size(1));
    out = std::max(out, linear->weight.size(0));
  }
  // By the config's key, not the seed: whoever reads the adapter may have to draw it again.
  torch::Generator generator = at::detail::createCPUGenerator(config.vera.projection_prng_key);
  const torch::Device device = model->device();
  const bool in_file = start == Start::kFromFile && config.vera.save_projection;
  const auto projection = [&](std::int64_t rows, std::int64_t fan_in) {
    return in_file || device.is_meta() ? torch::empty({rows, fan_in}, device)
                                       : random_projection(rows, fan_in, generator).to(device);
  };
  const auto a = std::make_shared<VeraProjection>(projection(config.r, in), 1);
  const auto b = std::make_shared<VeraProjection>(projection(out, config.r), 0);
  auto parts = make_parts(model, modules, [&](const std::string&, const Adaptable& linear) {
    return std::make_shared<VeraAttachment>(
        a,
        b,
        linear->weight.size(1),
        trained_vector(config.r, config.vera.d_initial, device),
        trained_vector(linear->weight.size(0), 0.0, device),
        config.lora_dropout);
  });
  NamedTensors shared;
  if (config.vera.save_projection) {
    shared = {{kSharedA, a->whole()}, {kSharedB, b->whole()}};
  }
  return with_trained_parameters(
      model, std::move(config), std::move(parts), start, std::move(shared));
}

} // namespace

const AdapterType& vera_type() {
  static const AdapterType type{
      .peft_type = "VERA",
      .name = "VeRA",
      .shared_tensors = {kSharedA, kSharedB},
      .has_excludes = false,
      .bias_of_targets = "vera_only",
      .default_targets = lora_type().default_targets,
      .check = check_vera,
      .read = read_vera,
      .keys =
          {"r",
           "vera_dropout",
           "projection_prng_key",
           "save_projection",
           "d_initial",
           "init_weights"},
      .write = write_vera,
      .attach = attach_vera};
  return type;
}

VeraProjection::VeraProjection(torch::Tensor whole, std::int64_t dimension)
    : whole_(std::move(whole)), dimension_(dimension) {}

torch::Tensor VeraProjection::part(std::int64_t size, torch::Dtype dtype) {
  if (dtype == whole_.scalar_type()) {
    return part(size);
  }
  const std::lock_guard<std::mutex> lock(casting_);
  Cast& cast = casts_[{size, dtype}];
  const auto version = static_cast<std::int64_t>(whole_._version());
  if (!cast.values.defined() || cast.version != version) {
    cast = {part(size).to(dtype), version};
  }
  return cast.values;
}

VeraAttachment::VeraAttachment(
    std::shared_ptr<VeraProjection> a,
    std::shared_ptr<VeraProjection> b,
    std::int64_t in,
    torch::Tensor l_d,
    torch::Tensor l_b,
    double dropout)
    : a_(std::move(a)),
      b_(std::move(b)),
      in_(in),
      l_d_(std::move(l_d)),
      l_b_(std::move(l_b)),
      dropout_(dropout) {}

NamedTensors VeraAttachment::named_tensors() const {
  return {{"vera_lambda_b", l_b_}, {"vera_lambda_d", l_d_}};
}

torch::Tensor VeraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  const torch::Dtype dtype = x.scalar_type();
  torch::Tensor input = x;
  if (dropout_ > 0 && torch::GradMode::is_enabled() && l_b_.requires_grad()) {
    input = torch::dropout(x, dropout_, /*train=*/true);
  }
  const torch::Tensor inner = torch::linear(input, a_->part(in_, dtype)) * l_d_.to(dtype);
  const torch::Tensor change = torch::linear(inner, b_->part(l_b_.size(0), dtype)) * l_b_.to(dtype);
  return y + change * weight;
}

torch::Tensor VeraAttachment::change() const {
  return torch::mm(b_->part(l_b_.size(0)), l_d_.unsqueeze(1) * a_->part(in_))
      .mul_(l_b_.unsqueeze(1));
}

} // namespace errata::peft
