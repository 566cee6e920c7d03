#include "editing/null_space.h"

#include "core/base/error.h"
#include "peft/attached_adapter.h"

#include <algorithm>
#include <memory>

namespace errata::editing {
namespace {

/// Adds up x^T x and x of the inputs it is shown.
struct Moment {
  torch::Tensor sum;
  torch::Tensor sum_of_inputs;
  std::int64_t rows = 0;
};

// What all listeners of a pass share. The last input is kept, so that its address cannot be reused
// while it is compared with.
struct LastInput {
  torch::Tensor tensor;
  std::shared_ptr<Moment> moment;
};

class MomentListener final : public ModuleAttachment {
 public:
  explicit MomentListener(std::shared_ptr<LastInput> last) : last_(std::move(last)) {}

  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) override {
    if (last_->tensor.defined() && last_->tensor.data_ptr() == x.data_ptr() &&
        last_->tensor.sizes() == x.sizes()) {
      moment_ = last_->moment;
      return y;
    }
    if (!moment_) {
      moment_ = std::make_shared<Moment>();
    }
    const torch::Tensor rows = x.detach().reshape({-1, x.size(-1)}).to(torch::kFloat32);
    const torch::Tensor product = torch::mm(rows.t(), rows).to(torch::kFloat64);
    moment_->sum = moment_->sum.defined() ? moment_->sum.add_(product) : product;
    const torch::Tensor inputs = rows.sum(0, /*keepdim=*/false, torch::kFloat64);
    moment_->sum_of_inputs =
        moment_->sum_of_inputs.defined() ? moment_->sum_of_inputs.add_(inputs) : inputs;
    moment_->rows += rows.size(0);
    *last_ = {x, moment_};
    return y;
  }

  InputMoment moment() const {
    const auto count = static_cast<double>(moment_->rows);
    return {moment_->sum / count, moment_->sum_of_inputs / count};
  }
  const void* key() const { return moment_.get(); }

 private:
  std::shared_ptr<LastInput> last_;
  std::shared_ptr<Moment> moment_;
};

// Attaches listeners for a scope.
class Listening {
 public:
  Listening(Decoder& model, const std::vector<std::string>& modules) {
    const auto last = std::make_shared<LastInput>();
    const auto listened = [&](const std::string& name) {
      return std::find(modules.begin(), modules.end(), name) != modules.end();
    };
    for (auto& [name, linear] : model->linears()) {
      if (listened(name)) {
        listeners.emplace_back(name, std::make_shared<MomentListener>(last));
        linears_.push_back(linear);
        linears_.back()->attach(listeners.back().second);
      }
    }
    if (listened(kHeadName)) {
      listeners.emplace_back(kHeadName, std::make_shared<MomentListener>(last));
      head_ = listeners.back().second;
    }
  }
  ~Listening() {
    for (std::size_t i = 0; i < linears_.size(); ++i) {
      linears_[i]->detach(listeners[i].second.get());
    }
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  bool hears_head() const { return head_ != nullptr; }
  /// What the output head would see; it need not run for that.
  void hear_head(const torch::Tensor& hidden) const { head_->apply(hidden, {}); }

  std::vector<std::pair<std::string, std::shared_ptr<MomentListener>>> listeners;

 private:
  std::shared_ptr<MomentListener> head_;
  std::vector<Linear> linears_;
};

} // namespace

std::map<std::string, InputMoment> input_moments(
    Decoder& model,
    const std::vector<std::string>& modules,
    ExampleSource& source,
    const BatchOptions& options,
    std::int64_t batches) {
  const torch::NoGradGuard no_grad;
  const Listening listening(model, modules);
  std::int64_t end = 0; // the layers above those that are listened to need not run
  for (const std::string& module : modules) {
    end = std::max(end, peft::layer_of(module) + 1);
  }
  const auto plan = plan_stream(source, options);
  for (std::int64_t done = 0; done < batches;) {
    for (const MicroBatch& micro : plan->next().micro) {
      const PackedBatch batch = pack_examples(micro, model->device());
      if (listening.hears_head()) {
        listening.hear_head(model->hidden(batch));
      } else {
        model->states_before(end, batch);
      }
      ++done;
    }
  }
  std::map<std::string, InputMoment> moments;
  std::map<const void*, InputMoment> computed;
  for (const auto& [name, listener] : listening.listeners) {
    InputMoment& moment = computed[listener->key()];
    if (!moment.second.defined()) {
      moment = listener->moment();
    }
    moments.emplace(name, moment);
  }
  return moments;
}

torch::Tensor soft_null_projection(const torch::Tensor& moment, double softness) {
  const torch::Tensor c = moment.to(torch::kFloat64);
  const double t = softness * c.diagonal().mean().item<double>();
  ERRATA_CHECK(
      t > 0,
      ErrorCode::kInvalidArgument,
      "null-space softness is ",
      softness,
      "; expected a positive number (and inputs that are not all zero)");
  const torch::Tensor ti = t * torch::eye(c.size(0), c.options());
  return torch::cholesky_solve(ti, torch::linalg_cholesky(c + ti)).to(torch::kFloat32);
}

NullSpace::NullSpace(
    const FlatParameters& parameters, const std::map<std::string, torch::Tensor>& projections) {
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    const auto found = projections.find(parameters.entries()[i].name);
    if (found != projections.end()) {
      projections_.emplace_back(i, found->second);
    }
  }
  ERRATA_CHECK(
      projections_.size() == projections.size(),
      ErrorCode::kInternal,
      "a projection names no trained matrix");
  before_.resize(projections_.size());
}

void NullSpace::before_update(FlatParameters& parameters) {
  for (std::size_t i = 0; i < projections_.size(); ++i) {
    const auto& [index, projection] = projections_[i];
    const FlatParameters::Entry& entry = parameters.entries()[index];
    torch::Tensor gradient = FlatParameters::part(parameters.gradients(), entry);
    gradient.copy_(torch::mm(gradient, projection));
    before_[i] = FlatParameters::part(parameters.values(), entry).clone();
  }
}

void NullSpace::after_update(FlatParameters& parameters, double /*lr_factor*/) {
  for (std::size_t i = 0; i < projections_.size(); ++i) {
    const auto& [index, projection] = projections_[i];
    torch::Tensor value = FlatParameters::part(parameters.values(), parameters.entries()[index]);
    value.sub_(before_[i]);
    value.copy_(torch::addmm(before_[i], value, projection));
  }
}

} // namespace errata::editing
