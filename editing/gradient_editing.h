#pragma once

#include "core/trainer.h"
#include "editing/editor.h"
#include "editing/null_space.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata::editing {

/// The selection that `options` make, in PEFT's terms; with the ranks of an adapter of the same
/// options whose `values` are kept, which EVA chose one by one.
peft::AdapterConfig adapter_config(
    const Decoder& model,
    const EditorOptions& options,
    const std::vector<NamedTensor>& values = {});

/// Gives the parameters of `adapter` the values of the same names; one missing or of another shape
/// is `kCorrupt`.
void set_values(const peft::Adapter& adapter, const std::vector<NamedTensor>& values);

/// Second moments of the inputs that rehearsal gives each module (`input_moments`), over `tokens`
/// tokens at least (0: as many as a projection wants, none twice). Needs `input.rehearsal`
/// (`kInvalidArgument`).
std::map<std::string, InputMoment> rehearsal_moments(
    Decoder& model,
    const std::vector<std::string>& modules,
    const EditInput& input,
    const EditorOptions& options,
    std::int64_t tokens = 0);

/// P of each module from the inputs that rehearsal gives it; empty when the term is off. Needs
/// `input.rehearsal` (`kInvalidArgument`).
std::map<std::string, torch::Tensor> null_projections(
    Decoder& model,
    const std::vector<std::string>& modules,
    const EditInput& input,
    const EditorOptions& options);

/// Runs `trainer` on what `options` choose from `input`, with the anchor where they ask for it.
TrainReport train_on(
    Trainer& trainer,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress);

/// Numbers in the weights of `modules`.
std::int64_t weight_count(const Decoder& model, const std::vector<std::string>& modules);

/// The adapter that a weight editor ends with: `deltas` exact, or cut to `delta_rank`.
std::unique_ptr<peft::Adapter> attach_difference(
    Decoder& model, const std::vector<NamedTensor>& deltas, const EditorOptions& options);

/// [out, in] of each module.
std::vector<std::pair<std::int64_t, std::int64_t>> module_shapes(
    const Decoder& model, const std::vector<std::string>& modules);

} // namespace errata::editing
