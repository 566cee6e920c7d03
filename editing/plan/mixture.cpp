#include "editing/plan/mixture.h"

#include "core/base/error.h"

#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace errata::editing {

using datasets::Hop;

Deck::Deck(std::size_t count) : order_(count), next_(count) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
}

std::size_t Deck::draw(Random& random) {
  if (next_ == order_.size()) {
    random.shuffle(order_);
    next_ = 0;
  }
  return order_[next_++];
}

void GroupedDeck::add(double weight, std::vector<std::size_t> members) {
  if (weight > 0 && !members.empty()) {
    const std::size_t count = members.size();
    groups_.push_back({std::move(members), Deck(count)});
    weights_.push_back(weight);
  }
}

std::size_t GroupedDeck::draw(Random& random) {
  Group& group = groups_[random.weighted(weights_)];
  return group.members[group.deck.draw(random)];
}

GroupedDeck balanced_deck(const std::vector<const Hop*>& hops) {
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < hops.size(); ++i) {
    groups[hops[i]->relation].push_back(i);
  }
  GroupedDeck deck;
  for (auto& [relation, members] : groups) {
    const double weight = std::sqrt(static_cast<double>(members.size()));
    deck.add(weight, std::move(members));
  }
  return deck;
}

GroupedDeck chain_deck(const std::vector<Chain>& chains, const std::set<std::string>& changing) {
  constexpr double kTwoChanging = 4;
  constexpr double kTwoStatic = 2.5;
  constexpr double kThreeChanging = 3;
  constexpr double kThreeStatic = 1;
  std::map<std::pair<bool, bool>, std::vector<std::size_t>> groups; // (two hops, changing)
  for (std::size_t i = 0; i < chains.size(); ++i) {
    const std::string last(base_relation(chains[i].back().relation));
    groups[{chains[i].size() == 2, changing.contains(last)}].push_back(i);
  }
  GroupedDeck deck;
  for (auto& [kind, members] : groups) {
    const double weight = kind.first ? (kind.second ? kTwoChanging : kTwoStatic)
                                     : (kind.second ? kThreeChanging : kThreeStatic);
    deck.add(weight, std::move(members));
  }
  return deck;
}

void Mixture::add(std::string kind, double weight, bool rehearsal, Maker make) {
  ERRATA_CHECK(
      weight >= 0 && std::isfinite(weight),
      ErrorCode::kInvalidArgument,
      "weight ",
      weight,
      " of document kind '",
      kind,
      "'; expected a number from 0");
  if (weight > 0) {
    kinds_.push_back({std::move(kind), rehearsal, std::move(make)});
    weights_.push_back(weight);
  }
}

Document Mixture::next() {
  const Kind& kind = kinds_[random_.weighted(weights_)];
  Document document = kind.make(random_);
  document.kind = kind.name;
  document.rehearsal = kind.rehearsal;
  return document;
}

} // namespace errata::editing
