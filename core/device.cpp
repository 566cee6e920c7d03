#include "core/device.h"

#include "core/base/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <malloc.h>
#include <sstream>

namespace errata {
namespace {

// The kernel lists a feature only when programs may use it, which CPUID alone does not say.
bool cpuinfo_has(std::initializer_list<std::string_view> features) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("flags")) {
      continue;
    }
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (std::find(features.begin(), features.end(), word) != features.end()) {
        return true;
      }
    }
    return false; // all cores alike
  }
  return false;
}

// The thread that computes gradients has no CUDA context before its first kernel; were that one of
// cuBLAS, LibTorch would warn.
void wake(const torch::Device& device) {
  const torch::AutoGradMode with_gradients(true);
  const torch::Tensor one =
      torch::ones({1}, torch::TensorOptions().device(device).requires_grad(true));
  one.mul(2).backward();
}

torch::Device cuda_device(std::string_view text, c10::DeviceIndex index) {
  ERRATA_CHECK(
      torch::cuda::is_available(),
      ErrorCode::kUnsupported,
      "device ",
      text,
      ": no CUDA device here, or this LibTorch is built without CUDA; use --device cpu");
  const auto count = static_cast<int>(torch::cuda::device_count());
  ERRATA_CHECK(
      index < count,
      ErrorCode::kUnsupported,
      "device ",
      text,
      ": there are ",
      count,
      " CUDA devices, numbered from 0");
  const torch::Device device(torch::kCUDA, index);
  wake(device);
  return device;
}

} // namespace

torch::Device parse_device(std::string_view text) {
  constexpr std::string_view kCudaPrefix = "cuda:";
  if (text == "cpu") {
    return torch::kCPU;
  }
  if (text == "cuda") {
    return cuda_device(text, 0);
  }
  int index = -1;
  if (text.starts_with(kCudaPrefix)) {
    const std::string_view number = text.substr(kCudaPrefix.size());
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error != std::errc() || end != number.data() + number.size() || index > 127) {
      index = -1;
    }
  }
  ERRATA_CHECK(
      index >= 0,
      ErrorCode::kInvalidArgument,
      "unknown device '",
      text,
      "'; expected cpu, cuda or cuda:N");
  return cuda_device(text, static_cast<c10::DeviceIndex>(index));
}

torch::Dtype parse_dtype(std::string_view text, const torch::Device& device) {
  if (text == "float32") {
    return torch::kFloat32;
  }
  if (text == "bfloat16") {
    return torch::kBFloat16;
  }
  ERRATA_CHECK(
      text == "auto",
      ErrorCode::kInvalidArgument,
      "unknown dtype '",
      text,
      "'; expected float32, bfloat16 or auto");
  return device.is_cuda() || cpu_has_bfloat16() ? torch::kBFloat16 : torch::kFloat32;
}

bool cpu_has_bfloat16() {
  static const bool has = cpuinfo_has({"avx512_bf16", "amx_bf16"});
  return has;
}

std::string dtype_name(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return "float32";
    case torch::kBFloat16:
      return "bfloat16";
    case torch::kFloat16:
      return "float16";
    case torch::kFloat64:
      return "float64";
    default:
      return torch::toString(dtype);
  }
}

void configure_runtime(int threads) {
  if (threads > 0) {
    at::set_num_threads(threads);
  }
  // cuDNN's attention builds a plan for each shape, about 0.1 s, and packed batches rarely repeat
  // one.
  at::globalContext().setSDPUseCuDNN(false);
#ifdef __GLIBC__
  // glibc caps its mmap threshold at 32 MiB, less than one matrix of logits; so no mapping at all,
  // and nothing given back from the top of the heap.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
#endif
  // oneDNN compiles a kernel for every shape and keeps 1,024 of them, about a megabyte each. Filled
  // batches of a few edits have about 200 shapes; large ones rarely repeat theirs.
  ::setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256", /*overwrite=*/0);
}

} // namespace errata
