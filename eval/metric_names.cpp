#include "eval/metric_names.h"

#include "core/base/json.h"

#include <algorithm>
#include <array>

namespace errata::eval {
namespace {

constexpr std::array<MetricName, 44> kNames = {{
    {"facts.single", "facts, held-out wording", true},
    {"facts.inverse", "facts the other way round", true},
    {"editing.reliability", "reliability", true},
    {"editing.generalisation", "generalisation, all wordings", true},
    {"editing.statement", "as a statement to complete", true},
    {"editing.portability", "what follows from the edits", true},
    {"editing.new_facts", "new facts that came along", true},
    {"editing.new_inverse", "new facts the other way round", true},
    {"editing.stale", "still the old answer", true},
    {"editing.teacher_forced.reliability", "reliability, teacher-forced", true},
    {"editing.teacher_forced.token_accuracy", "answer tokens, teacher-forced"},
    {"locality.same", "same answer as the base", true},
    {"locality.right", "unchanged facts right", true},
    {"locality.kept_correct", "right ones still right", true},
    {"locality.rehearsed.same", "rehearsed facts: same answer"},
    {"locality.rehearsed.right", "rehearsed facts right"},
    {"locality.rehearsed.kept_correct", "rehearsed facts still right"},
    {"multihop.changed.cot", "changed, in steps", true},
    {"multihop.changed.direct", "changed, at once", true},
    {"multihop.any_of_three.changed.cot", "changed, in steps, any of three", true},
    {"multihop.any_of_three.changed.direct", "changed, at once, any of three"},
    {"multihop.all_of_three.changed.cot", "changed, in steps, all of three"},
    {"multihop.all_of_three.changed.direct", "changed, at once, all of three"},
    {"multihop.mean_of_three.changed.cot", "changed, in steps, mean of three"},
    {"multihop.mean_of_three.changed.direct", "changed, at once, mean of three"},
    {"multihop.hop_wise.changed", "changed, with every step right"},
    {"multihop.stale.cot", "still the old answer, in steps", true},
    {"multihop.stale.direct", "still the old answer, at once"},
    {"multihop.unchanged.cot", "unchanged, in steps", true},
    {"multihop.unchanged.direct", "unchanged, at once", true},
    {"multihop.any_of_three.unchanged.cot", "unchanged, in steps, any of three"},
    {"multihop.any_of_three.unchanged.direct", "unchanged, at once, any of three"},
    {"multihop.hop_wise.unchanged", "unchanged, with every step right"},
    {"multihop.pre_edit.cot", "answer of the first day, in steps"},
    {"multihop.pre_edit.direct", "answer of the first day, at once"},
    {"multihop.base_undefined.cot", "no answer on the first day, in steps"},
    {"multihop.base_undefined.direct", "no answer on the first day, at once"},
    {"multihop.edit_wise", "edited facts by themselves", true},
    {"multihop.instance_wise", "all facts of a changed chain known", true},
    {"multihop.instance_wise_unchanged", "all facts of an unchanged chain known"},
    {"history.right", "past years", true},
    {"history.edited", "past years of edited slots", true},
    {"history.not_edited", "past years of other slots"},
    {"history.held_out", "past years that were not rehearsed"},
}};

} // namespace

std::span<const MetricName> metric_names() noexcept {
  return kNames;
}

std::string metric_name(std::string_view path) {
  const auto found = std::find_if(
      kNames.begin(), kNames.end(), [&](const MetricName& name) { return name.path == path; });
  return std::string(found == kNames.end() ? path : found->name);
}

const OrderedJson* find_path(const OrderedJson& root, std::string_view path) {
  const OrderedJson* place = &root;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('.', at), path.size());
    if (!place->is_object()) {
      return nullptr;
    }
    const auto found = place->find(std::string(path.substr(at, end - at)));
    if (found == place->end() || found->is_null()) {
      return nullptr;
    }
    place = &*found;
    at = end + 1;
  }
  return place;
}

} // namespace errata::eval
