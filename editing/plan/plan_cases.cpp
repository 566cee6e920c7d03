#include "editing/plan/plan_cases.h"

#include "core/base/error.h"
#include "editing/plan/text.h"

#include <algorithm>

namespace errata::editing {

using datasets::Hop;
using datasets::MultiHopCase;

namespace {

constexpr std::size_t kQuestionsEach = 3;

/// "first", "middle" or "last": the hop at which the chains part.
std::string edited_hop(const Chain& chain, const Chain& chain_new) {
  std::size_t at = 0;
  while (at < chain.size() && at < chain_new.size() && chain[at] == chain_new[at]) {
    ++at;
  }
  return at == 0 ? "first" : at + 1 == chain_new.size() ? "last" : "middle";
}

/// The world's answers first, then those that the case itself lists for the same answer.
std::vector<std::string> chain_answers(
    const World& world,
    const Chain& chain,
    const std::string& written,
    const std::vector<std::string>& written_aliases) {
  std::vector<std::string> answers = world.answers(chain.back());
  if (written == chain.back().object) {
    for (const std::string& alias : written_aliases) {
      if (std::find(answers.begin(), answers.end(), alias) == answers.end()) {
        answers.push_back(alias);
      }
    }
  }
  return answers;
}

std::vector<std::string> tail(const std::vector<std::string>& answers) {
  return {answers.begin() + 1, answers.end()};
}

} // namespace

std::vector<std::string> path_of(const Chain& chain) {
  std::vector<std::string> path;
  for (const Hop& hop : chain) {
    path.push_back(hop.relation);
  }
  return path;
}

MultiHopCase case_between(
    MultiHopCase item,
    const World& before,
    const World& after,
    Chain chain,
    Chain chain_new,
    std::size_t& shared) {
  std::vector<std::string> new_answers =
      chain_answers(after, chain_new, item.new_answer, item.new_answer_aliases);
  std::vector<std::string> old_answers;
  if (!chain.empty()) {
    old_answers = chain_answers(before, chain, item.answer, item.answer_aliases);
  }
  item.changed = chain.empty() || old_answers.front() != new_answers.front();
  item.edited_hop = item.changed ? edited_hop(chain, chain_new) : "";
  if (item.changed && !old_answers.empty()) {
    const std::vector<std::string> all_old = old_answers;
    old_answers = without_shared(old_answers, new_answers, shared);
    new_answers = without_shared(new_answers, all_old, shared);
  }
  item.answer = old_answers.empty() ? "" : old_answers.front();
  item.answer_aliases = old_answers.empty() ? std::vector<std::string>() : tail(old_answers);
  item.new_answer = new_answers.front();
  item.new_answer_aliases = tail(new_answers);
  item.chain = std::move(chain);
  item.chain_new = std::move(chain_new);
  return item;
}

std::vector<std::string> without_shared(
    const std::vector<std::string>& answers,
    const std::vector<std::string>& others,
    std::size_t& dropped) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool shared = std::any_of(others.begin(), others.end(), [&](const std::string& other) {
      return lower_case(other) == lower_case(answers[i]);
    });
    if (i == 0 || !shared) {
      result.push_back(answers[i]);
    } else {
      ++dropped;
    }
  }
  return result;
}

PlannedCases plan_cases(const World& before, const World& after) {
  PlannedCases planned;
  for (const MultiHopCase& item : before.knowledge().cases) {
    const Chain& written = item.chain_new.empty() ? item.chain : item.chain_new;
    if (written.empty()) {
      ++planned.dropped;
      continue;
    }
    const std::vector<std::string> path = path_of(written);
    std::optional<Chain> chain_new = after.chain(item.start, path);
    if (!chain_new) {
      ++planned.dropped;
      continue;
    }
    planned.cases.push_back(case_between(
        item,
        before,
        after,
        before.chain(item.start, path).value_or(Chain()),
        std::move(*chain_new),
        planned.shared_aliases));
  }
  return planned;
}

std::vector<MultiHopCase> development_cases(
    const World& before,
    const World& after,
    const Wordings& wordings,
    const ChainOptions& options,
    double share) {
  ChainOptions all = options;
  all.development_share = 0;
  std::vector<MultiHopCase> cases;
  for (Chain& chain : after.chains(all)) {
    const std::string key = chain_key(chain);
    if (!is_development_chain(key, share)) {
      continue;
    }
    MultiHopCase item;
    item.id = concat("D", cases.size() + 1);
    item.start = chain.front().subject;
    item.questions = wordings.chain_questions(chain, kQuestionsEach);
    Chain old = before.chain(item.start, path_of(chain)).value_or(Chain());
    std::size_t shared = 0;
    cases.push_back(
        case_between(std::move(item), before, after, std::move(old), std::move(chain), shared));
  }
  return cases;
}

} // namespace errata::editing
