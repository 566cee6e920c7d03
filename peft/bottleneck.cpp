#include "peft/bottleneck.h"

#include "core/base/error.h"
#include "peft/adapter_parts.h"
#include "peft/config_file.h"
#include "peft/unmergeable_adapter.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {
namespace {

class Bottleneck final : public BlockAttachment {
 public:
  struct Weights {
    torch::Tensor down;
    torch::Tensor down_bias;
    torch::Tensor up;
    torch::Tensor up_bias;
  };

  Bottleneck(Weights weights, const BottleneckConfig& config, std::shared_ptr<bool> enabled)
      : weights_(std::move(weights)), config_(config), enabled_(std::move(enabled)) {}

  bool reentrant() const override { return true; }

  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& f) override {
    if (!*enabled_) {
      return f;
    }
    const torch::Tensor z = config_.parallel ? x : config_.sees_sum ? x + f : f;
    const torch::Dtype dtype = f.scalar_type();
    const auto linear =
        [&](const torch::Tensor& y, const torch::Tensor& w, const torch::Tensor& b) {
          return torch::linear(y, w.to(dtype), b.to(dtype));
        };
    const torch::Tensor inner = activated(linear(z, weights_.down, weights_.down_bias));
    return f + linear(inner, weights_.up, weights_.up_bias) * config_.scaling;
  }

  NamedTensors named_tensors() const {
    return {
        {"adapter_down.bias", weights_.down_bias},
        {"adapter_down.weight", weights_.down},
        {"adapter_up.bias", weights_.up_bias},
        {"adapter_up.weight", weights_.up}};
  }

 private:
  torch::Tensor activated(const torch::Tensor& x) const {
    if (config_.non_linearity == "swish") {
      return torch::silu(x);
    }
    if (config_.non_linearity == "relu") {
      return torch::relu(x);
    }
    return torch::gelu(x, config_.non_linearity == "gelu" ? "none" : "tanh");
  }

  Weights weights_;
  BottleneckConfig config_;
  std::shared_ptr<bool> enabled_;
};

class BottleneckAdapter final : public UnmergeableAdapter {
 public:
  BottleneckAdapter(Decoder& model, AdapterConfig config)
      : UnmergeableAdapter(std::move(config)), model_(model) {}
  ~BottleneckAdapter() override {
    for (const Part& part : parts_) {
      model_->block_attachments(part.layer, part.place).detach(part.attachment.get());
    }
  }
  BottleneckAdapter(const BottleneckAdapter&) = delete;
  BottleneckAdapter& operator=(const BottleneckAdapter&) = delete;

  void add(std::int64_t layer, SubLayer place, Bottleneck::Weights weights) {
    const char* const name = place == SubLayer::kAttention ? ".attn" : ".mlp";
    parts_.push_back(
        {layer,
         place,
         model_->config().names.layer(layer) + name,
         std::make_shared<Bottleneck>(std::move(weights), config().bottleneck, switch_state())});
    model_->block_attachments(layer, place).attach(parts_.back().attachment);
  }

  NamedTensors named_parameters() const override { return tensors_of_parts(parts_); }
  std::vector<std::string> modules() const override { return modules_of_parts(parts_); }
  std::int64_t first_layer() const override { return parts_.front().layer; }

 private:
  struct Part {
    std::int64_t layer = 0;
    SubLayer place = SubLayer::kMlp;
    std::string module;
    std::shared_ptr<Bottleneck> attachment;
  };

  Decoder model_;
  std::vector<Part> parts_;
};

Bottleneck::Weights start_weights(
    const BottleneckConfig& config,
    std::int64_t hidden,
    const torch::Device& device,
    Start start,
    torch::Generator& generator) {
  constexpr double kPublishedDeviation = 0.02;
  const auto inner = std::max<std::int64_t>(
      1,
      // A factor made as hidden / inner must give inner again.
      static_cast<std::int64_t>(static_cast<double>(hidden) / config.reduction_factor + 1e-6));
  const bool drawn = start == Start::kFresh; // on the CPU
  torch::Tensor down = torch::empty({inner, hidden}, drawn ? torch::Device(torch::kCPU) : device);
  if (drawn && config.parallel) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(hidden)); // Kaiming with sqrt(5)
    down.uniform_(-bound, bound, generator);
  } else if (drawn) {
    down.normal_(0, kPublishedDeviation, generator);
  }
  const auto zeros = [&](at::IntArrayRef sizes) {
    return torch::zeros(sizes, device).requires_grad_(true);
  };
  // Unlike the published N(0, 0.02^2), an up of zeros leaves the model as it is at first.
  return {
      down.to(device).requires_grad_(true),
      zeros({inner}),
      zeros({hidden, inner}),
      zeros({hidden})};
}

std::unique_ptr<Adapter> attach_bottleneck(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& /*modules*/,
    Start start,
    std::uint64_t seed) {
  const DecoderConfig& shape = model->config();
  std::vector<std::int64_t> layers = config.layers_to_transform;
  if (layers.empty()) {
    for (std::int64_t i = 0; i < shape.num_layers(); ++i) {
      layers.push_back(i);
    }
  }
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const BottleneckConfig chosen = config.bottleneck;
  auto adapter = std::make_unique<BottleneckAdapter>(model, std::move(config));
  for (const std::int64_t layer : layers) {
    ERRATA_CHECK(
        layer >= 0 && layer < shape.num_layers(),
        ErrorCode::kInvalidArgument,
        "layers_to_transform: layer ",
        layer,
        " is out of range; the model has layers 0 to ",
        shape.num_layers() - 1);
    for (const SubLayer place : {SubLayer::kAttention, SubLayer::kMlp}) {
      if (place == SubLayer::kAttention ? chosen.after_attention : chosen.after_mlp) {
        adapter->add(
            layer,
            place,
            start_weights(chosen, shape.hidden_size, model->device(), start, generator));
      }
    }
  }
  return adapter;
}

void check_bottleneck(const AdapterConfig& config) {
  const BottleneckConfig& b = config.bottleneck;
  check_field("reduction_factor", b.reduction_factor, 1e-3, 1 << 24);
  check_field("scaling", b.scaling, -1e6, 1e6);
  ERRATA_CHECK(
      b.after_attention || b.after_mlp,
      ErrorCode::kInvalidArgument,
      "a bottleneck adapter after neither attention nor MLP; set after_attention or after_mlp");
  ERRATA_CHECK(
      b.non_linearity == "relu" || b.non_linearity == "swish" || b.non_linearity == "gelu" ||
          b.non_linearity == "gelu_new",
      ErrorCode::kUnsupported,
      "non_linearity '",
      b.non_linearity,
      "' is not supported; expected relu, swish, gelu or gelu_new");
}

void read_bottleneck(const ConfigFile& file, AdapterConfig& config) {
  const JsonFields& fields = file.fields;
  BottleneckConfig& b = config.bottleneck;
  b.after_attention = fields.required<bool>("after_attention");
  b.after_mlp = fields.required<bool>("after_mlp");
  b.parallel = fields.required<bool>("parallel");
  b.sees_sum = fields.required<bool>("sees_sum");
  b.non_linearity = fields.required<std::string>("non_linearity");
  b.reduction_factor = fields.required<double>("reduction_factor");
  b.scaling = fields.required<double>("scaling");
}

void write_bottleneck(const AdapterConfig& config, OrderedJson& json) {
  const BottleneckConfig& b = config.bottleneck;
  json["after_attention"] = b.after_attention;
  json["after_mlp"] = b.after_mlp;
  json["parallel"] = b.parallel;
  json["sees_sum"] = b.sees_sum;
  json["non_linearity"] = b.non_linearity;
  json["reduction_factor"] = plain_number(b.reduction_factor);
  json["scaling"] = plain_number(b.scaling);
}

} // namespace

const AdapterType& bottleneck_type() {
  static const AdapterType type{
      .peft_type = "BOTTLENECK",
      .own = true,
      .name = "a bottleneck adapter",
      .shared_tensors = {},
      .selects_linears = false,
      .check = check_bottleneck,
      .read = read_bottleneck,
      .keys =
          {"after_attention",
           "after_mlp",
           "parallel",
           "sees_sum",
           "non_linearity",
           "reduction_factor",
           "scaling"},
      .write = write_bottleneck,
      .attach = attach_bottleneck};
  return type;
}

BottleneckConfig bottleneck_preset(const std::string& name) {
  BottleneckConfig config; // Pfeiffer
  if (name == "houlsby") {
    config.after_attention = true;
    config.sees_sum = false;
    config.non_linearity = "swish";
  } else if (name == "parallel") {
    config.parallel = true;
    config.sees_sum = false;
    config.reduction_factor = 2;
    config.scaling = 4;
  }
  return config;
}

} // namespace errata::peft
