#include "peft/adaption_prompt.h"

#include "core/base/error.h"
#include "peft/adapter_parts.h"
#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/unmergeable_adapter.h"

#include <algorithm>

namespace errata::peft {
namespace {

class AdaptionAttention final : public AttentionAttachment {
 public:
  AdaptionAttention(
      const DecoderConfig& config, torch::Tensor prompt, std::shared_ptr<bool> enabled)
      : prompt_(std::move(prompt)),
        gate_(torch::zeros({1}, prompt_.options().requires_grad(false)).requires_grad_(true)),
        enabled_(std::move(enabled)),
        heads_(config.num_heads),
        kv_heads_(config.num_kv_heads),
        scale_(config.query_scale),
        after_projection_(config.model_type == "gpt2") {}

  void begin() override { kept_ = {}; }

  torch::Tensor extra(SelfAttentionImpl& attention, const Projections& projections) override {
    if (!*enabled_) {
      return {};
    }
    const torch::Tensor& q = projections.q;
    const std::int64_t head_dim = q.size(1) / heads_;
    const PromptHeads prompt = prompt_heads(attention, head_dim, q.scalar_type());
    // [kv_heads, rows * group, head_dim] against [kv_heads, length, head_dim].
    const std::int64_t group = heads_ / kv_heads_;
    const torch::Tensor queries = q.view({-1, kv_heads_, group, head_dim})
                                      .permute({1, 0, 2, 3})
                                      .reshape({kv_heads_, -1, head_dim});
    const torch::Tensor scores = torch::bmm(queries, prompt.keys) * scale_;
    // Not below float32, whatever the activations are.
    const torch::Dtype dtype = torch::promote_types(torch::kFloat32, scores.scalar_type());
    const torch::Tensor weights =
        (gate_ * torch::softmax(scores.to(dtype), -1)).to(q.scalar_type());
    return torch::bmm(weights, prompt.values)
        .view({kv_heads_, -1, group, head_dim})
        .permute({1, 0, 2, 3})
        .reshape({q.size(0), -1});
  }
  bool after_projection() const override { return after_projection_; }

  NamedTensors named_tensors() const {
    return {{"adaption_gate", gate_}, {"adaption_prompt", prompt_}};
  }

 private:
  // What queries look at: [kv_heads, head_dim, length] and [kv_heads, length, head_dim].
  struct PromptHeads {
    torch::Tensor keys;
    torch::Tensor values;
  };

  // The same for every token of a generation, as what a cache holds: kept until another one begins.
  // Nothing that gradients go through is.
  PromptHeads prompt_heads(
      SelfAttentionImpl& attention, std::int64_t head_dim, torch::Dtype dtype) {
    if (kept_.keys.defined() && kept_.keys.scalar_type() == dtype &&
        !torch::GradMode::is_enabled()) {
      return kept_;
    }
    const Projections prompt = attention.project(prompt_[0].to(dtype));
    const PromptHeads heads = {
        prompt.k.view({-1, kv_heads_, head_dim}).permute({1, 2, 0}),
        prompt.v.view({-1, kv_heads_, head_dim}).transpose(0, 1)};
    kept_ = torch::GradMode::is_enabled() ? PromptHeads() : heads;
    return heads;
  }

  torch::Tensor prompt_; ///< [1, length, hidden]
  torch::Tensor gate_;   ///< [1]
  PromptHeads kept_;
  std::shared_ptr<bool> enabled_;
  std::int64_t heads_;
  std::int64_t kv_heads_;
  double scale_;
  bool after_projection_;
};

class AdaptionAdapter final : public UnmergeableAdapter {
 public:
  struct Part {
    std::int64_t layer = 0;
    std::string module;
    std::shared_ptr<AdaptionAttention> attachment;
  };

  AdaptionAdapter(Decoder& model, AdapterConfig config)
      : UnmergeableAdapter(std::move(config)), model_(model) {}
  ~AdaptionAdapter() override {
    for (const Part& part : parts_) {
      model_->attention(part.layer)->attachments().detach(part.attachment.get());
    }
  }
  AdaptionAdapter(const AdaptionAdapter&) = delete;
  AdaptionAdapter& operator=(const AdaptionAdapter&) = delete;

  void add(std::int64_t layer, torch::Tensor prompt) {
    const DecoderConfig& config = model_->config();
    parts_.push_back(
        {layer,
         config.names.layer(layer) + "." + config.names.attention,
         std::make_shared<AdaptionAttention>(config, std::move(prompt), switch_state())});
    model_->attention(layer)->attachments().attach(parts_.back().attachment);
  }

  NamedTensors named_parameters() const override { return tensors_of_parts(parts_); }
  std::vector<std::string> modules() const override { return modules_of_parts(parts_); }
  std::int64_t first_layer() const override { return parts_.front().layer; }

 private:
  Decoder model_;
  std::vector<Part> parts_;
};

std::unique_ptr<Adapter> attach_adaption(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& /*modules*/,
    Start start,
    std::uint64_t seed) {
  const DecoderConfig& shape = model->config();
  std::vector<std::int64_t> layers;
  for (std::int64_t i = 0; i < shape.num_layers(); ++i) {
    if (model->attention(i)) {
      layers.push_back(i);
    }
  }
  const auto all = static_cast<std::int64_t>(layers.size());
  std::int64_t& count = config.adaption.adapter_layers;
  count = count == 0 ? all : count;
  ERRATA_CHECK(
      count <= all,
      ErrorCode::kInvalidArgument,
      "adapter_layers is ",
      count,
      "; the model has ",
      all,
      " layers with attention");
  const std::int64_t length = config.adaption.adapter_len;
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  auto adapter = std::make_unique<AdaptionAdapter>(model, std::move(config));
  for (std::int64_t i = all - count; i < all; ++i) {
    torch::Tensor prompt =
        start == Start::kFromFile
            ? torch::empty({1, length, shape.hidden_size}, model->device())
            : torch::empty({1, length, shape.hidden_size}).normal_(0, 1, generator);
    adapter->add(
        layers[static_cast<std::size_t>(i)], prompt.to(model->device()).requires_grad_(true));
  }
  return adapter;
}

void check_adaption(const AdapterConfig& config) {
  check_field("adapter_len", static_cast<double>(config.adaption.adapter_len), 1, 1 << 20);
  check_field("adapter_layers", static_cast<double>(config.adaption.adapter_layers), 0, 1 << 20);
}

void read_adaption(const ConfigFile& file, AdapterConfig& config) {
  config.adaption.adapter_len = file.fields.required<std::int64_t>("adapter_len");
  config.adaption.adapter_layers = file.fields.required<std::int64_t>("adapter_layers");
  // The attention of the family, whatever it is called.
  config.target_modules.clear();
  config.target_regex.reset();
}

void write_adaption(const AdapterConfig& config, OrderedJson& json) {
  json["adapter_len"] = config.adaption.adapter_len;
  json["adapter_layers"] = config.adaption.adapter_layers;
  json["target_modules"] = nullptr;
}

} // namespace

const AdapterType& adaption_prompt_type() {
  static const AdapterType type{
      .peft_type = "ADAPTION_PROMPT",
      .name = "LLaMA-Adapter",
      .shared_tensors = {},
      .has_layers = false,
      .selects_linears = false,
      .check = check_adaption,
      .read = read_adaption,
      .keys = {"adapter_len", "adapter_layers"},
      .write = write_adaption,
      .attach = attach_adaption};
  return type;
}

} // namespace errata::peft
