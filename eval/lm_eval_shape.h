#pragma once

#include "eval/results.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace errata::eval {

/// Two figures may stand in one table only when these are equal: the protocol, the scorer, the
/// normalisation, the stop rule and the prompting.
std::string comparable_group(const Metric& metric, const Protocol& protocol);

/// Adds what programs that read lm-evaluation-harness results look for (`results`, `configs`,
/// `versions`, `n-shot`, `higher_is_better`, `n-samples`, `config`): one task a suite, metric names
/// "<metric>,none", the figures of `metrics`.
void add_lm_eval_fields(
    nlohmann::ordered_json& results,
    const Evaluation& evaluation,
    const std::vector<Metric>& metrics);

} // namespace errata::eval
