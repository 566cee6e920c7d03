#pragma once

#include "core/torch.h"

#include <string>
#include <string_view>

namespace errata {

/// "cpu", "cuda" or "cuda:N"; `kInvalidArgument` for anything else, `kUnsupported` when the device
/// is not there. A CUDA device is ready to compute gradients afterwards.
torch::Device parse_device(std::string_view text);

/// "float32", "bfloat16" or "auto"; auto is bfloat16 where the device multiplies it in hardware
/// (AVX512-BF16 or AMX, CUDA), else float32.
torch::Dtype parse_dtype(std::string_view text, const torch::Device& device);

/// True when the CPU has AVX512-BF16 or AMX-BF16.
bool cpu_has_bfloat16();

std::string dtype_name(torch::Dtype dtype);

/// Threads of LibTorch (0: leave), kernels that suit packed batches, and an allocator that keeps
/// freed memory: returning the tens of megabytes of each activation to the system costs more than
/// half of a small matmul's time in page faults. Call once, before the first tensor.
void configure_runtime(int threads);

} // namespace errata
