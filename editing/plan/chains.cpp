#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/knowledge.h"

#include <algorithm>
#include <functional>

namespace errata::editing {

using datasets::Hop;
using datasets::Relation;

namespace {

/// Hops that can be said, by the entity they start from.
using Steps = std::unordered_map<std::string, std::vector<Hop>>;

/// `steps` in a fixed order: relations as the knowledge lists them.
Steps sayable_steps(const World& world) {
  std::map<std::string, std::vector<Hop>> by_relation;
  for (Hop& hop : world.single_facts()) {
    if (world.forward(hop.subject, hop.relation)) { // not a provisional one
      by_relation[hop.relation].push_back(std::move(hop));
    }
  }
  Steps steps;
  for (const Relation& relation : world.knowledge().relations) {
    if (relation.step.empty()) {
      continue;
    }
    for (Hop& hop : by_relation[relation.name]) {
      std::vector<Hop>& from = steps[hop.subject];
      from.push_back(std::move(hop));
    }
  }
  return steps;
}

bool visits_new_entity(const Chain& chain, const std::string& entity) {
  return chain.front().subject != entity &&
         std::none_of(
             chain.begin(), chain.end(), [&](const Hop& hop) { return hop.object == entity; });
}

class Walk {
 public:
  Walk(const World& world, int max_hops, std::function<void(const Chain&)> visit)
      : knowledge_(world.knowledge()),
        steps_(sayable_steps(world)),
        max_hops_(static_cast<std::size_t>(max_hops)),
        visit_(std::move(visit)) {
    for (Hop& hop : world.inverse_facts()) {
      firsts_.push_back(std::move(hop));
    }
    for (const Hop& hop : world.single_facts()) {
      const auto own = steps_.find(hop.subject);
      const bool sayable =
          own != steps_.end() &&
          std::find(own->second.begin(), own->second.end(), hop) != own->second.end();
      if (sayable && leads_on(hop)) {
        firsts_.push_back(hop);
      }
    }
  }

  void run() {
    for (const Hop& first : firsts_) {
      chain_.assign(1, first);
      if (first.subject != first.object) {
        extend();
      }
    }
  }

 private:
  /// The hop's object can be described and has facts of its own.
  bool leads_on(const Hop& hop) const {
    const Relation* relation = knowledge_.find_relation(hop.relation);
    const bool described =
        relation != nullptr &&
        !(is_inverse(hop.relation) ? relation->inverse_noun : relation->noun).empty();
    return described && steps_.contains(hop.object);
  }

  void extend() {
    const auto from = steps_.find(chain_.back().object);
    if (from == steps_.end()) {
      return;
    }
    for (const Hop& hop : from->second) {
      if (!visits_new_entity(chain_, hop.object)) {
        continue;
      }
      chain_.push_back(hop);
      visit_(chain_);
      if (chain_.size() < max_hops_ && leads_on(hop)) {
        extend();
      }
      chain_.pop_back();
    }
  }

  const Knowledge& knowledge_;
  Steps steps_;
  std::size_t max_hops_;
  std::function<void(const Chain&)> visit_;
  std::vector<Hop> firsts_;
  Chain chain_;
};

} // namespace

std::vector<Chain> World::chains(const ChainOptions& options) const {
  ERRATA_CHECK(
      options.max_hops >= 2 && options.max_hops <= 4,
      ErrorCode::kInvalidArgument,
      "longest chain of ",
      options.max_hops,
      " hops; expected 2 to 4");
  // Counted first, so that a large store is thinned evenly instead of being cut off.
  std::size_t total = 0;
  Walk(*this, options.max_hops, [&](const Chain&) { ++total; }).run();
  std::vector<Chain> result;
  Walk(*this, options.max_hops, [&](const Chain& chain) {
    const std::string key = chain_key(chain);
    if (options.without.contains(key) || is_development_chain(key, options.development_share) ||
        (total > options.limit && stable_hash(concat("thin|", key)) % total >= options.limit)) {
      return;
    }
    result.push_back(chain);
  }).run();
  return result;
}

} // namespace errata::editing
