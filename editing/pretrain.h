#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/tokenizer.h"
#include "core/trainer.h"
#include "editing/plan/pretrain_documents.h"
#include "editing/plan/wordings.h"

#include <cstdint>
#include <filesystem>

namespace errata::editing {

/// Shape of the lab model: Gemma 3's architecture, small.
struct LabShape {
  std::int64_t vocab = 4096;
  std::int64_t hidden = 256;
  std::int64_t layers = 4;
  std::int64_t intermediate = 0; ///< 0: four times `hidden`
  std::int64_t head_dim = 64;
  std::int64_t global_every = 2; ///< every n-th layer sees everything, the others `window` tokens
  std::int64_t window = 512;
  std::int64_t max_positions = 512;
};

/// Throws `kInvalidArgument` that names the first value out of range.
DecoderConfig lab_config(const LabShape& shape);

/// How the lab model is trained: first plainly, then with dropout on both residual branches, which
/// makes it easier to edit (facts are spread over more of the network).
struct PretrainTraining {
  std::int64_t tokens = 8'000'000; ///< forward rows in all
  double dropout_share = 0.25;     ///< of `tokens`, at the end
  double dropout = 0.1;
  double lr = 3e-3;         ///< of Muon on matrices and AdamW on the rest
  double dropout_lr = 2e-3; ///< in the second part
  std::int64_t batch_tokens = 6144;
  std::uint64_t seed = 0;
  CheckpointOptions checkpoint;
  /// What a resumed run must share with the interrupted one besides these options.
  std::map<std::string, std::string> context;
};

struct PretrainReport {
  TrainReport plain;
  TrainReport regularised;
};

/// Trains `model` (its parameters already initialised) on the documents of `plan`.
PretrainReport pretrain(
    Decoder& model,
    const Tokenizer& tokenizer,
    const PretrainPlan& plan,
    const Wordings& wordings,
    const PretrainTraining& training,
    const ProgressCallback& progress = {});

} // namespace errata::editing
