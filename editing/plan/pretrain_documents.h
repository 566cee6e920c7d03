#pragma once

#include "editing/plan/document.h"
#include "editing/plan/history.h"
#include "editing/plan/wordings.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace errata::editing {

/// Weights of the kinds of pre-training documents; a kind without material is left out.
struct PretrainMix {
  double statement = 3;
  double question = 3;
  double inverse_statement = 1.2;
  double inverse_question = 1.2;
  double chain_in_steps = 2;
  double chain_direct = 0.8;
  double single_in_steps = 0.4;
  double dated_statement = 0.8;
  double dated_question = 1.2;
};

struct PretrainOptions {
  PretrainMix mix;
  HistoryOptions history;
  ChainOptions chains;
  double development_share = kDevelopmentShare;
};

/// What a model of one day is trained on and judged by.
struct PretrainPlan {
  Date day;
  PretrainOptions options;
  std::vector<datasets::Hop> single;  ///< judged in the held-out question
  std::vector<datasets::Hop> inverse; ///< judged in the held-out question
  std::vector<Chain> chains;          ///< trained on
  std::set<std::string> changing_relations;
  std::vector<HistoryItem> history; ///< judged in the held-out dated question
  /// Held out for tuning, with three questions each.
  std::vector<datasets::MultiHopCase> development_cases;
  /// The store's cases that have an answer on that day: looked at once, at the end.
  std::vector<datasets::MultiHopCase> cases;
};

/// Throws `kInvalidArgument` when no fact holds on `day`.
PretrainPlan make_pretrain_plan(
    const Knowledge& knowledge, const Date& day, const PretrainOptions& options = {});

/// An endless mixture. Keeps references to plan and wordings.
std::unique_ptr<DocumentStream> pretrain_documents(
    const PretrainPlan& plan, const Wordings& wordings, std::uint64_t seed);

/// The first `limit` lines of the documents: what a vocabulary is trained on.
std::vector<std::string> vocabulary_lines(
    const PretrainPlan& plan, const Wordings& wordings, std::size_t limit, std::uint64_t seed);

/// Counts as one JSON document.
std::string summary_json(const PretrainPlan& plan);

} // namespace errata::editing
