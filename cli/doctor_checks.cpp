#include "cli/doctor_checks.h"

#include "cli/model_options.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/device.h"
#include "core/scoring.h"
#include "core/version.h"
#include "editing/store/edit_store.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <unistd.h>

namespace errata::cli {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) {
    torch::cuda::synchronize(device.index());
  }
}

// Billions of floating-point operations a second of a square product, over about a fifth of a
// second.
double matmul_gflops(torch::Dtype dtype, const torch::Device& device) {
  constexpr std::int64_t kSize = 1024;
  constexpr double kProbeSeconds = 0.2;
  const torch::NoGradGuard no_grad;
  const auto options = torch::TensorOptions().dtype(dtype).device(device);
  const torch::Tensor a = torch::ones({kSize, kSize}, options);
  torch::Tensor product = torch::mm(a, a);
  wait_for(device);
  const auto start = std::chrono::steady_clock::now();
  std::int64_t rounds = 0;
  do {
    torch::mm_out(product, a, a);
    wait_for(device);
    ++rounds;
  } while (seconds_since(start) < kProbeSeconds);
  const double operations = 2.0 * kSize * kSize * kSize * static_cast<double>(rounds);
  return operations / seconds_since(start) / 1e9;
}

std::uint64_t memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long size = ::sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
             : 0;
}

// A few ids that every vocabulary has.
Tokens probe_tokens(const Model& model) {
  Tokens tokens;
  const std::int64_t vocabulary = model.decoder->config().vocab_size;
  for (std::int32_t id = 0; id < std::min<std::int64_t>(vocabulary, 16); ++id) {
    tokens.push_back(id);
  }
  return tokens;
}

// Sum of the log-probabilities of the probe tokens: a full forward pass.
double probe(Model& model) {
  const Tokens tokens = probe_tokens(model);
  double sum = 0;
  if (tokens.size() > 1) {
    const auto scores = score_tokens(model.decoder, {tokens}, {1});
    for (const TokenScore& score : scores.front()) {
      sum += score.logprob;
    }
  }
  ERRATA_CHECK(
      std::isfinite(sum),
      ErrorCode::kCorrupt,
      model.directory.string(),
      ": a test run gives values that are not finite; the weights are damaged, or too large for ",
      dtype_name(model.decoder->compute_dtype()));
  return sum;
}

OrderedJson tokenizer_json(const Model& model) {
  if (!model.tokenizer) {
    return nullptr;
  }
  const Tokenizer& tokenizer = *model.tokenizer;
  return {
      {"vocab_size", tokenizer.vocab_size()},
      {"bos", tokenizer.bos()},
      {"eos", tokenizer.eos()},
      {"sha256", tokenizer.hash()}};
}

OrderedJson adapter_json(Model& model, const std::string& directory, double base) {
  const auto adapter = peft::load_adapter(model.decoder, directory);
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    parameters += tensor.numel();
  }
  return {
      {"directory", directory},
      {"peft_type", adapter->config().peft_type},
      {"modules", adapter->modules().size()},
      {"parameters", parameters},
      {"test_logprob_change", probe(model) - base}};
}

} // namespace

OrderedJson describe_versions() {
  const BuildInfo& build = build_info();
  return {
      {"errata", build.version},
      {"commit", build.commit},
      {"build_type", build.build_type},
      {"libtorch", build.libtorch},
      {"compiler", __VERSION__}};
}

OrderedJson describe_machine(const std::string& device_name) {
  const torch::Device device = parse_device(device_name);
  const bool cuda = torch::cuda::is_available();
  OrderedJson machine;
  machine["cores"] = std::thread::hardware_concurrency();
  machine["threads"] = at::get_num_threads();
  machine["memory_bytes"] = memory_bytes();
  machine["bfloat16_hardware"] = device.is_cuda() || cpu_has_bfloat16();
  machine["auto_dtype"] = dtype_name(parse_dtype("auto", device));
  machine["cuda"] = {
      {"available", cuda}, {"devices", cuda ? static_cast<int>(torch::cuda::device_count()) : 0}};
  machine["device"] = device_name;
  machine["matmul_gflops"] = {
      {"float32", matmul_gflops(torch::kFloat32, device)},
      {"bfloat16", matmul_gflops(torch::kBFloat16, device)}};
  return machine;
}

OrderedJson check_model(
    const std::string& directory,
    const std::vector<std::string>& adapters,
    const CommonOptions& common) {
  LoadOptions options;
  options.device = parse_device(common.device);
  options.dtype = parse_dtype(common.dtype, options.device);
  const auto start = std::chrono::steady_clock::now();
  Model model = load_model(directory, options);
  const double load_seconds = seconds_since(start);
  const auto begin = std::chrono::steady_clock::now();
  const double base = probe(model);
  const double forward_seconds = seconds_since(begin);
  std::int64_t parameters = 0;
  const auto tensors = model.decoder->named_parameters();
  for (const auto& item : tensors) {
    parameters += item.value().numel();
  }
  const DecoderConfig& config = model.decoder->config();
  OrderedJson result;
  result["directory"] = directory;
  result["model_type"] = config.model_type;
  result["layers"] = config.num_layers();
  result["hidden_size"] = config.hidden_size;
  result["vocab_size"] = config.vocab_size;
  result["tensors"] = tensors.size();
  result["parameters"] = parameters;
  result["file_dtype"] = dtype_name(model.file_dtype);
  result["dtype"] = dtype_name(options.dtype);
  result["sha256"] = model.hash;
  result["eos"] = model.eos;
  result["tokenizer"] = tokenizer_json(model);
  result["load_seconds"] = load_seconds;
  result["test_forward_seconds"] = forward_seconds;
  result["adapters"] = OrderedJson::array();
  for (const std::string& adapter : adapters) {
    result["adapters"].push_back(adapter_json(model, adapter, base));
  }
  return result;
}

OrderedJson check_store(const std::string& path) {
  const auto store = editing::EditStore::open(path);
  const std::vector<std::string> findings = store.verify();
  ERRATA_CHECK(
      findings.empty(),
      ErrorCode::kCorrupt,
      path,
      ": ",
      findings.empty() ? std::string() : findings.front(),
      findings.size() > 1 ? concat(" (and ", findings.size() - 1, " more findings)") : "");
  const editing::Statistics counts = store.statistics();
  return {
      {"path", path},
      {"relations", counts.relations},
      {"entities", counts.entities},
      {"facts", counts.facts},
      {"multi_hop", counts.multi_hop},
      {"edits", counts.edits},
      {"runs", counts.runs},
      {"sha256", store.content_hash()}};
}

} // namespace errata::cli
