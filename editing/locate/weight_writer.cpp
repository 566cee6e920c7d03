#include "editing/locate/weight_writer.h"

#include "core/base/error.h"
#include "editing/locate/closed_form.h"
#include "editing/locate/module_record.h"
#include "peft/attached_adapter.h"

#include <algorithm>

namespace errata::editing {

/// Of some texts' last tokens, float64, a row each.
struct WeightWriter::Looked {
  std::vector<torch::Tensor> inputs;
  std::vector<torch::Tensor> outputs;
  std::vector<torch::Tensor> layers;
};

WeightWriter::WeightWriter(
    Decoder& model,
    const std::vector<ResidualSite>& sites,
    const EditorOptions& options,
    std::size_t contexts,
    const std::map<std::string, InputMoment>& moments)
    : model_(model), sites_(sites), options_(options), contexts_(contexts), session_(model) {
  for (const ResidualSite& site : sites) {
    weights_.push_back(session_.open(site.module()));
    const auto found = moments.find(site.module());
    moments_.push_back(
        found == moments.end() ? torch::Tensor() : found->second.second.to(model->device()));
    if (options.method == "alphaedit") {
      bases_.push_back(null_basis(moments_.back(), options.null_threshold));
      check_basis(site);
    }
  }
  earlier_.resize(sites.size());
}

void WeightWriter::check_basis(const ResidualSite& site) const {
  ERRATA_CHECK(
      bases_.back().size(1) > 0,
      ErrorCode::kInvalidArgument,
      site.module(),
      ": no direction of its inputs has a second moment below --null-threshold ",
      options_.null_threshold,
      "; the smallest is ",
      torch::linalg_eigvalsh(moments_.back()).min().item<double>());
}

void WeightWriter::write(std::span<const ValueProblem> problems, const Values& values) {
  const torch::NoGradGuard no_grad;
  if (options_.method == "rome") {
    write_rome(problems, values);
    return;
  }
  const torch::Tensor wanted = values.layer.t();
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const AtSubjects now = look(problems, i);
    const torch::Tensor missing = wanted - now.layer;
    before_ += i == 0 ? missing.norm().item<double>() : 0;
    const torch::Tensor share = missing.t() / static_cast<double>(sites_.size() - i);
    const torch::Tensor residual = sites_[i].needed(now.matrix.t(), share).t();
    weights_[i].add_(change(i, now.keys, residual).to(torch::kFloat32));
  }
  after_ += (wanted - look(problems, sites_.size() - 1).layer).norm().item<double>();
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    const torch::Tensor keys = look(problems, i).keys;
    const torch::Tensor sum = keys.mm(keys.t());
    earlier_[i] = earlier_[i].defined() ? earlier_[i] + sum : sum;
  }
}

torch::Tensor WeightWriter::change(
    std::size_t site, const torch::Tensor& keys, const torch::Tensor& residual) const {
  return options_.method == "memit"
             ? memit_update(keys, residual, moments_[site], options_.moment_weight)
             : alphaedit_update(keys, residual, bases_[site], earlier_[site], options_.ridge);
}

void WeightWriter::write_rome(std::span<const ValueProblem> problems, const Values& values) {
  const torch::Tensor key = look(problems, 0).keys.select(1, 0);
  // What the matrix gives for the mean key (R-ROME).
  torch::Tensor given = weights_[0].to(torch::kFloat64).mv(key);
  const Adaptable matrix = peft::find_module(model_, sites_[0].module());
  if (matrix->bias.defined()) {
    given = given + matrix->bias.to(torch::kFloat64);
  }
  const torch::Tensor residual = values.matrix.select(0, 0) - given;
  weights_[0].add_(rome_update(key, key, residual, moments_[0]).to(torch::kFloat32));
}

// Keys of the first request of each problem: those of the others are the same.
WeightWriter::AtSubjects WeightWriter::look(
    std::span<const ValueProblem> problems, std::size_t site) {
  std::vector<std::vector<std::int32_t>> texts;
  for (const ValueProblem& problem : problems) {
    for (std::size_t i = 0; i <= contexts_; ++i) {
      const LocatedPrompt& prompt = problem.prompts[i];
      texts.emplace_back(prompt.tokens.begin(), prompt.tokens.begin() + prompt.subject_last + 1);
    }
  }
  Looked looked;
  std::int64_t rows = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    rows += std::ssize(texts[i]);
    if (rows >= options_.micro_tokens || i + 1 == texts.size()) {
      look_at(std::span(texts).subspan(first, i + 1 - first), site, looked);
      first = i + 1;
      rows = 0;
    }
  }
  const auto by_problem = [&](const std::vector<torch::Tensor>& parts) {
    return torch::cat(parts).view(
        {std::ssize(problems), static_cast<std::int64_t>(contexts_) + 1, -1});
  };
  return {
      mean_key(by_problem(looked.inputs)).t(),
      by_problem(looked.outputs).select(1, 0).t(),
      by_problem(looked.layers).select(1, 0).t()};
}

void WeightWriter::look_at(
    std::span<const std::vector<std::int32_t>> texts, std::size_t site, Looked& looked) {
  PackedBatch batch = pack(texts, model_->device());
  if (model_->shares_prefixes()) {
    batch.share_prefixes();
  }
  std::vector<std::int64_t> ends;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ends.push_back(batch.row_of(i, std::ssize(texts[i]) - 1));
  }
  const torch::Tensor rows = torch::tensor(ends, torch::kInt64).to(model_->device());
  const ModuleRecord record(model_, sites_[site].module());
  const torch::Tensor states = model_->states_before(sites_.back().layer() + 1, batch);
  const auto at_ends = [&](const torch::Tensor& x) {
    return x.index_select(0, rows).to(torch::kFloat64);
  };
  looked.inputs.push_back(at_ends(record.input()));
  looked.outputs.push_back(at_ends(record.output()));
  looked.layers.push_back(at_ends(states));
}

// ROME: of all alike. MEMIT: the bare prompt counts as much as all contexts together.
torch::Tensor WeightWriter::mean_key(const torch::Tensor& keys) const {
  if (contexts_ == 0 || options_.method == "rome") {
    return keys.mean(1);
  }
  return (keys.select(1, 0) + keys.narrow(1, 1, keys.size(1) - 1).mean(1)) / 2;
}

} // namespace errata::editing
