#include "core/base/json.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/pretrain_documents.h"

#include <map>

namespace errata::editing {

using datasets::Hop;
using datasets::MultiHopCase;

namespace {

template <typename Items, typename Name>
OrderedJson counts(const Items& items, const Name& name) {
  std::map<std::string, std::size_t> by_name;
  for (const auto& item : items) {
    ++by_name[std::string(name(item))];
  }
  OrderedJson result;
  result["all"] = items.size();
  for (const auto& [key, count] : by_name) {
    result[key] = count;
  }
  return result;
}

OrderedJson by_relation(const std::vector<Hop>& hops) {
  return counts(hops, [](const Hop& hop) { return hop.relation; });
}

OrderedJson by_hops(const std::vector<Chain>& chains) {
  return counts(chains, [](const Chain& chain) { return concat(chain.size(), " hops"); });
}

OrderedJson by_change(const std::vector<MultiHopCase>& cases) {
  return counts(
      cases, [](const MultiHopCase& item) { return item.changed ? "changed" : "unchanged"; });
}

OrderedJson by_kind(const std::vector<KeptFact>& facts) {
  return counts(facts, [](const KeptFact& fact) { return to_string(fact.kind); });
}

} // namespace

std::string summary_json(const EditPlan& plan) {
  OrderedJson json;
  if (!plan.explicit_edits.empty()) {
    json["explicit_edits"] = plan.explicit_edits.size();
    json["cases"] = by_change(plan.cases);
    json["dropped_cases"] = plan.dropped_cases;
    return json.dump(2);
  }
  json["from"] = to_string(plan.from);
  json["to"] = to_string(plan.to);
  json["rehearsal_share"] = plan.options.rehearsal_share;
  json["fold"] = plan.options.fold;
  json["difference"] =
      counts(plan.edits, [](const datasets::Edit& edit) { return datasets::to_string(edit.kind); });
  json["slots"] = counts(plan.slots, [](const EditedSlot& slot) { return slot.fact.relation; });
  json["injected"] = by_relation(plan.injected);
  json["injected_inverse"] = by_relation(plan.injected_inverse);
  json["ripple_chains"] = by_hops(plan.ripple_chains);
  json["rehearsed"] = plan.rehearsed.size();
  json["rehearsed_inverse"] = plan.rehearsed_inverse.size();
  json["rehearsal_chains"] = by_hops(plan.rehearsal_chains);
  json["kept"] = by_kind(plan.kept);
  json["kept_inverse"] = by_kind(plan.kept_inverse);
  json["cases"] = by_change(plan.cases);
  json["development_cases"] = by_change(plan.development_cases);
  json["history"] = counts(plan.history, [](const HistoryItem& item) {
    return concat(item.edited ? "edited" : "unchanged", item.trained ? ", trained" : ", kept");
  });
  json["shared_aliases"] = plan.shared_aliases;
  json["dropped_cases"] = plan.dropped_cases;
  return json.dump(2);
}

std::string summary_json(const PretrainPlan& plan) {
  OrderedJson json;
  json["day"] = to_string(plan.day);
  json["single"] = by_relation(plan.single);
  json["inverse"] = by_relation(plan.inverse);
  json["chains"] = by_hops(plan.chains);
  json["history"] =
      counts(plan.history, [](const HistoryItem& item) { return item.fact.relation; });
  json["development_cases"] = plan.development_cases.size();
  json["cases"] = plan.cases.size();
  return json.dump(2);
}

} // namespace errata::editing
