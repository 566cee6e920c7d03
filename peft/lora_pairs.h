#pragma once

#include "core/decoder.h"
#include "core/torch.h"
#include "peft/adapter.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata::peft {

/// One module's change `scale * B A`: what every LoRA file format comes down to. That of a table of
/// vectors [entries, hidden] is (scale * B A)^T, with entries inputs and hidden outputs.
struct LoraPair {
  std::string module;
  torch::Tensor a; ///< [r, in], float32, CPU
  torch::Tensor b; ///< [out, r]
  double scale = 1.0;

  std::int64_t rank() const { return a.size(0); }
};

/// The pairs of a LoRA or rsLoRA, in model order. Anything that is not such a sum (an exact
/// difference, a magnitude vector) is `kUnsupported`: `format` cannot hold it, merging can.
std::vector<LoraPair> lora_pairs(const Adapter& adapter, const std::string& format);

/// What an adapter does beside changing the matrices of its targets ("with modules_to_save
/// (norm)"), for messages; empty: nothing.
std::string beyond_pairs(const Adapter& adapter);

/// Attaches pairs, in any order; `dropout` is that of further training. The scale of each module
/// stays what it is, however unequal they are.
std::unique_ptr<Adapter> attach_lora_pairs(
    Decoder& model, const std::vector<LoraPair>& pairs, double dropout = 0.0);

/// The halves of a pair as a file has them, under the decoder's module path.
struct LoraHalves {
  torch::Tensor a; ///< [r, in], undefined when missing
  torch::Tensor b; ///< [out, r]
};

/// Pairs, in model order, of the halves read from `path`, with `scale(rank)` as their scale. Half
/// pairs, modules that the model does not have, shapes that do not fit and values that are not
/// finite are `kCorrupt`; the error lists up to 20 of them.
std::vector<LoraPair> complete_pairs(
    const Decoder& model,
    const std::map<std::string, LoraHalves>& halves,
    const std::function<double(std::int64_t rank)>& scale,
    const std::filesystem::path& path);

/// The value that most pairs have, the first of them in case of a tie; 0 counts only when nothing
/// else is there.
double most_common(
    const std::vector<LoraPair>& pairs, const std::function<double(const LoraPair&)>& value);

/// Gives `pair` the scale `scale` by folding the quotient into B: the same change. `scale` is not
/// 0. B keeps its bits when the scales are equal up to rounding.
void fold_scale(LoraPair& pair, double scale);

} // namespace errata::peft
