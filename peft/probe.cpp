#include "peft/probe.h"

#include "core/base/random.h"
#include "core/packed_batch.h"

#include <array>

namespace errata::peft {
namespace {

constexpr std::array kSentences = {
    "The capital of France is Paris.",
    "Water boils at 100 degrees Celsius at sea level.",
    "Question: Who wrote Romeo and Juliet? Answer: William Shakespeare.",
    "In 2019, the head of government of Canada was Justin Trudeau.",
    "The Amazon is the largest river by discharge in the world.",
    "Who is the current president of the country whose capital is Nairobi?",
    "A triangle has three sides and 3 angles; their sum is 180 degrees.",
    "She opened the door, looked at the rain, and went back for her umbrella."};
constexpr std::size_t kRandomSequences = 8;
constexpr std::size_t kRandomLength = 16;

} // namespace

std::vector<std::vector<std::int32_t>> probe_sequences(const Model& model) {
  std::vector<std::vector<std::int32_t>> sequences;
  if (model.tokenizer != nullptr) {
    for (const char* sentence : kSentences) {
      sequences.push_back(model.tokenizer->encode_prompt(sentence));
    }
    return sequences;
  }
  Random random(1);
  const auto vocabulary = static_cast<std::size_t>(model.decoder->config().vocab_size);
  for (std::size_t i = 0; i < kRandomSequences; ++i) {
    auto& sequence = sequences.emplace_back();
    for (std::size_t k = 0; k < kRandomLength; ++k) {
      sequence.push_back(static_cast<std::int32_t>(random.index(vocabulary)));
    }
  }
  return sequences;
}

torch::Tensor probe_log_probabilities(
    Decoder& model, const std::vector<std::vector<std::int32_t>>& sequences) {
  const torch::NoGradGuard no_grad;
  const PackedBatch batch = pack(sequences, model->device());
  const torch::Tensor logits = model->logits(model->hidden(batch)).to(torch::kFloat32);
  const torch::Tensor log_probabilities = torch::log_softmax(logits, -1);
  // Row k predicts row k + 1 of the same sequence.
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    for (std::size_t k = 0; k + 1 < sequences[i].size(); ++k) {
      rows.push_back(batch.row_of(i, static_cast<std::int64_t>(k)));
    }
  }
  const torch::Tensor from = torch::tensor(rows, torch::kInt64).to(model->device());
  const torch::Tensor next = batch.ids.index_select(0, from + 1).unsqueeze(1);
  return log_probabilities.index_select(0, from).gather(1, next).squeeze(1).to(torch::kCPU);
}

} // namespace errata::peft
