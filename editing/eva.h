#pragma once

#include "editing/null_space.h"
#include "peft/adapter.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// EVA (2410.07170): a LoRA starts from the directions in which the inputs of its modules vary, and
// ranks go to the modules whose directions explain most.

namespace errata::editing {

/// The A that each of `modules` (in model order) starts with: principal directions of its inputs as
/// rows [rank, in], float32, orthonormal, the largest entry of each positive. All modules together
/// get `rank` times their number of directions, those with the largest shares of their inputs'
/// variance; none more than `rho * rank` (or its inputs' size), so that 1 leaves every module its
/// `rank`. A module may get none [0, in]; one without moments (an embedding) is left out and takes
/// no part. Of equal directions, as of modules with one input, the earlier module's counts more. A
/// `rank` above the size of an input is `kInvalidArgument`.
std::map<std::string, torch::Tensor> eva_directions(
    const std::vector<std::string>& modules,
    const std::map<std::string, InputMoment>& moments,
    std::int64_t rank,
    double rho);

/// `config`, which selects `modules`, with these ranks: as PEFT's EvaConfig with
/// adjust_scaling_factors writes them. A module of another rank than `config.r` is in rank_pattern,
/// and in alpha_pattern with lora_alpha times its share of `config.r`; one of rank 0 is no target;
/// one that `ranks` does not name keeps `config.r`.
peft::AdapterConfig with_ranks(
    peft::AdapterConfig config,
    const std::vector<std::string>& modules,
    const std::map<std::string, std::int64_t>& ranks);

} // namespace errata::editing
