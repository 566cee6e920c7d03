#include "editing/plan/multihop_builder.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/plan_cases.h"
#include "editing/plan/text.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

namespace errata::editing {

using datasets::Edit;
using datasets::Hop;
using datasets::MultiHopCase;

namespace {

/// Shorter answers stand in many words by chance.
constexpr std::size_t kShortestLeak = 2;

bool shows(const std::string& question, const std::string& answer) {
  return answer.size() >= kShortestLeak && contains_word(lower_case(question), lower_case(answer));
}

bool shows_an_answer(const std::string& question, const MultiHopCase& item) {
  const auto shown = [&](const std::string& answer) { return shows(question, answer); };
  return shown(item.answer) || shown(item.new_answer) ||
         std::any_of(item.answer_aliases.begin(), item.answer_aliases.end(), shown) ||
         std::any_of(item.new_answer_aliases.begin(), item.new_answer_aliases.end(), shown);
}

class EditIndex {
 public:
  explicit EditIndex(const std::vector<Edit>& edits) {
    for (const Edit& edit : edits) {
      ids_[{edit.subject, edit.relation}].push_back(edit.id);
    }
  }

  /// Of the slots on both chains, in the order of the new one.
  std::vector<std::string> on(const Chain& chain_new, const Chain& chain) const {
    std::vector<std::string> result;
    for (const Chain* hops : {&chain_new, &chain}) {
      for (const Hop& hop : *hops) {
        const Hop fact = forward(hop);
        const auto found = ids_.find({fact.subject, fact.relation});
        if (found == ids_.end()) {
          continue;
        }
        for (const std::string& id : found->second) {
          if (std::find(result.begin(), result.end(), id) == result.end()) {
            result.push_back(id);
          }
        }
      }
    }
    return result;
  }

 private:
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> ids_;
};

enum class OldChain { kFound, kNone, kAmbiguous };

/// Follows the path at the first day; a step that has values but not one of them is ambiguous.
OldChain old_chain(
    const World& world,
    const std::string& start,
    const std::vector<std::string>& path,
    Chain& chain) {
  std::string here = start;
  chain.clear();
  for (const std::string& relation : path) {
    const auto next = world.step(here, relation);
    if (!next) {
      const std::string name(base_relation(relation));
      const bool empty =
          (is_inverse(relation) ? world.holders(here, name) : world.values(here, name)).empty();
      chain.clear();
      return empty ? OldChain::kNone : OldChain::kAmbiguous;
    }
    chain.push_back({here, relation, *next});
    here = *next;
  }
  return OldChain::kFound;
}

void require_hops(const MultiHopOptions& options) {
  ERRATA_CHECK(
      options.min_hops >= 2 && options.min_hops <= options.max_hops && options.max_hops <= 4,
      ErrorCode::kInvalidArgument,
      "chains of ",
      options.min_hops,
      " to ",
      options.max_hops,
      " hops; expected 2 to 4");
}

/// What is drawn from evenly.
std::tuple<bool, std::size_t, std::string, std::string> kind_of(const MultiHopCase& item) {
  return {item.changed, item.hops(), item.edited_hop, item.chain_new.back().relation};
}

/// Which to take, in order: one of each kind in turn, within a kind by a stable hash, until there
/// are enough.
std::vector<std::size_t> draw(
    const std::vector<MultiHopCase>& cases, const MultiHopOptions& options) {
  std::map<decltype(kind_of(cases.front())), std::vector<std::pair<std::uint64_t, std::size_t>>>
      kinds;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    kinds[kind_of(cases[i])].emplace_back(
        stable_hash(concat("draw|", options.seed, '|', chain_key(cases[i].chain_new))), i);
  }
  for (auto& [kind, members] : kinds) {
    std::sort(members.rbegin(), members.rend()); // taken from the end
  }
  std::vector<std::size_t> chosen;
  while (chosen.size() < options.limit) {
    for (auto& [kind, members] : kinds) {
      if (!members.empty() && chosen.size() < options.limit) {
        chosen.push_back(members.back().second);
        members.pop_back();
      }
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

void explain(
    const Chain& chain_new,
    std::string_view reason,
    const MultiHopOptions& options,
    MultiHopReport& report) {
  if (options.explain.empty()) {
    return;
  }
  if (std::string key = chain_key(chain_new); options.explain.contains(key)) {
    report.why.emplace(std::move(key), reason);
  }
}

std::vector<MultiHopCase> keep_drawn(
    std::vector<MultiHopCase> cases, const MultiHopOptions& options, MultiHopReport& report) {
  const std::vector<std::size_t> chosen = draw(cases, options);
  report.not_drawn = cases.size() - chosen.size();
  std::vector<MultiHopCase> kept;
  auto next = chosen.begin();
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (next != chosen.end() && *next == i) {
      kept.push_back(std::move(cases[i]));
      ++next;
    } else {
      explain(cases[i].chain_new, "not drawn: above the limit", options, report);
    }
  }
  return kept;
}

class Builder {
 public:
  Builder(
      const World& before,
      const World& after,
      const Wordings& wordings,
      const std::vector<Edit>& edits,
      const MultiHopOptions& options,
      MultiHopReport& report)
      : before_(before),
        after_(after),
        wordings_(wordings),
        edits_(edits),
        options_(options),
        report_(report) {}

  std::optional<MultiHopCase> build(Chain chain_new) {
    ++report_.chains;
    if (!wanted(chain_new)) {
      return left_out(chain_new, report_.not_wanted, "its hops or relations were not asked for");
    }
    const std::string start = chain_new.front().subject;
    Chain chain;
    if (old_chain(before_, start, path_of(chain_new), chain) == OldChain::kAmbiguous) {
      return left_out(
          chain_new,
          report_.several_before,
          "a step had several values or an acting one on the first day");
    }
    const bool rerouted = !chain.empty() && chain != chain_new;
    MultiHopCase item;
    item.start = start;
    item.id = concat("H-", sha256(chain_key(chain_new)).substr(0, 12));
    item.edit_ids = edits_.on(chain_new, chain);
    std::size_t shared = 0;
    item = case_between(
        std::move(item), before_, after_, std::move(chain), std::move(chain_new), shared);
    if (rerouted && !item.changed) {
      return left_out(
          item.chain_new, report_.same_answer, "another route led to the same answer before");
    }
    if (!(item.changed ? options_.changed : options_.unchanged)) {
      return left_out(
          item.chain_new,
          report_.not_wanted,
          item.changed ? "cases that changed were not asked for"
                       : "cases that stayed were not asked for");
    }
    if (!item.changed) {
      item.edit_ids.clear(); // slots that changed and came back
    }
    bool leaked = false;
    if (ask(item, leaked)) {
      return item;
    }
    return leaked ? left_out(item.chain_new, report_.leaks, "every wording would show the answer")
                  : left_out(
                        item.chain_new,
                        report_.repeated_question,
                        "another chain is asked for in the same words");
  }

 private:
  std::nullopt_t left_out(const Chain& chain_new, std::size_t& counter, std::string_view reason) {
    ++counter;
    explain(chain_new, reason, options_, report_);
    return std::nullopt;
  }

  bool wanted(const Chain& chain) const {
    return chain.size() >= static_cast<std::size_t>(options_.min_hops) &&
           (options_.relations.empty() ||
            std::all_of(chain.begin(), chain.end(), [&](const Hop& hop) {
              return options_.relations.contains(std::string(base_relation(hop.relation)));
            }));
  }

  bool ask(MultiHopCase& item, bool& leaked) {
    constexpr std::size_t kSpare = 3; // some will leak
    for (std::string& question :
         wordings_.chain_questions(item.chain_new, options_.questions + kSpare)) {
      if (item.questions.size() == options_.questions) {
        break;
      }
      if (shows_an_answer(question, item)) {
        leaked = true;
      } else if (asked_.insert(question).second) {
        item.questions.push_back(std::move(question));
      }
    }
    return !item.questions.empty();
  }

  const World& before_;
  const World& after_;
  const Wordings& wordings_;
  EditIndex edits_;
  const MultiHopOptions& options_;
  MultiHopReport& report_;
  std::unordered_set<std::string> asked_;
};

} // namespace

std::vector<MultiHopCase> build_multi_hop(
    const World& before,
    const World& after,
    const Wordings& wordings,
    const std::vector<Edit>& edits,
    const MultiHopOptions& options,
    MultiHopReport& report) {
  require_hops(options);
  ChainOptions walk;
  walk.max_hops = options.max_hops;
  walk.limit = 5'000'000; // thinned evenly above that
  std::vector<Chain> chains = after.chains(walk);
  std::sort(chains.begin(), chains.end(), [](const Chain& a, const Chain& b) {
    return std::pair(a.size(), chain_key(a)) < std::pair(b.size(), chain_key(b));
  });
  Builder builder(before, after, wordings, edits, options, report);
  std::vector<MultiHopCase> cases;
  for (Chain& chain : chains) {
    if (auto item = builder.build(std::move(chain))) {
      cases.push_back(std::move(*item));
    }
  }
  if (options.limit != 0 && options.limit < cases.size()) {
    cases = keep_drawn(std::move(cases), options, report);
  }
  return cases;
}

} // namespace errata::editing
