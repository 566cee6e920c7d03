#include "editing/plan/document_group.h"

namespace errata::editing {

using datasets::Hop;

HopList pointers(const std::vector<Hop>& hops) {
  HopList list;
  for (const Hop& hop : hops) {
    list.push_back(&hop);
  }
  return list;
}

GroupedDeck even_deck(std::size_t count) {
  std::vector<std::size_t> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    all[i] = i;
  }
  GroupedDeck deck;
  deck.add(1, std::move(all));
  return deck;
}

GroupedDeck near_deck(const HopList& hops, const std::map<std::string, std::size_t>& edits) {
  GroupedDeck deck;
  for (const auto& [relation, count] : edits) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < hops.size(); ++i) {
      if (base_relation(hops[i]->relation) == relation) {
        members.push_back(i);
      }
    }
    deck.add(static_cast<double>(count), std::move(members));
  }
  return deck;
}

void DocumentGroup::add(
    std::string name,
    double weight,
    GroupedDeck deck,
    HopList hops,
    const Wordings& words,
    HopWriter write) {
  if (deck.empty()) {
    return;
  }
  add_maker(
      std::move(name),
      weight,
      [deck = std::move(deck), hops = std::move(hops), &words, write](Random& random) mutable {
        return (words.*write)(*hops[deck.draw(random)], random);
      });
}

void DocumentGroup::add_maker(std::string name, double weight, Mixture::Maker make) {
  kinds_.push_back({std::move(name), weight, std::move(make)});
  total_ += weight;
}

void DocumentGroup::pour(Mixture& mixture, double total) {
  for (Kind& kind : kinds_) {
    mixture.add(
        std::move(kind.name), kind.weight * total / total_, rehearsal_, std::move(kind.make));
  }
  kinds_.clear();
}

} // namespace errata::editing
