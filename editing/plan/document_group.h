#pragma once

#include "editing/plan/mixture.h"
#include "editing/plan/wordings.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

// Parts of a mixture that are weighted together: edits, rehearsal, ripple.

namespace errata::editing {

using HopList = std::vector<const datasets::Hop*>;
/// Writes a document about a fact: `&Wordings::question_document`.
using HopWriter = Document (Wordings::*)(const datasets::Hop&, Random&) const;

/// The hops' addresses; the list must stay where it is.
HopList pointers(const std::vector<datasets::Hop>& hops);

template <typename Keep>
HopList filter(const HopList& hops, const Keep& keep) {
  HopList list;
  std::copy_if(hops.begin(), hops.end(), std::back_inserter(list), [&](const auto* hop) {
    return keep(*hop);
  });
  return list;
}

/// A deck in which every index below `count` comes equally often.
GroupedDeck even_deck(std::size_t count);

/// Facts of the edited relations, a relation as often as it is edited.
GroupedDeck near_deck(const HopList& hops, const std::map<std::string, std::size_t>& edits);

/// Document kinds whose weights are scaled together.
class DocumentGroup {
 public:
  explicit DocumentGroup(bool rehearsal) : rehearsal_(rehearsal) {}

  /// Documents of one kind about `hops`, drawn by `deck`; left out when there are none.
  void add(
      std::string name,
      double weight,
      GroupedDeck deck,
      HopList hops,
      const Wordings& words,
      HopWriter write);
  void add_maker(std::string name, double weight, Mixture::Maker make);

  double total() const noexcept { return total_; }

  /// Moves the kinds into the mixture so that their weights sum to `total`.
  void pour(Mixture& mixture, double total);

 private:
  struct Kind {
    std::string name;
    double weight;
    Mixture::Maker make;
  };
  bool rehearsal_;
  std::vector<Kind> kinds_;
  double total_ = 0;
};

} // namespace errata::editing
