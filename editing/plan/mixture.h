#pragma once

#include "core/base/random.h"
#include "editing/plan/document.h"
#include "editing/plan/knowledge.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// Building blocks of document streams.

namespace errata::editing {

/// Draws indices below `count` in random order, every one once before any comes again.
class Deck {
 public:
  explicit Deck(std::size_t count = 0);
  bool empty() const noexcept { return order_.empty(); }
  std::size_t draw(Random& random);

 private:
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

/// Decks over groups of a list: a group is drawn by weight, then its next member. Keeps a large
/// group from crowding out a small one.
class GroupedDeck {
 public:
  /// Adds a group with the indices of its members; an empty one is ignored.
  void add(double weight, std::vector<std::size_t> members);
  bool empty() const noexcept { return groups_.empty(); }
  std::size_t draw(Random& random);

 private:
  struct Group {
    std::vector<std::size_t> members;
    Deck deck;
  };
  std::vector<Group> groups_;
  std::vector<double> weights_;
};

/// Facts drawn evenly: a relation with probability proportional to the root of its size, so that
/// neither relations nor facts are starved, then its facts one after the other.
GroupedDeck balanced_deck(const std::vector<const datasets::Hop*>& hops);

/// Chains drawn by length and by whether they end in a relation that changes with time; the
/// weights of the lab recipe (4 and 2.5 for two hops, 3 and 1 for three).
GroupedDeck chain_deck(const std::vector<Chain>& chains, const std::set<std::string>& changing);

/// A weighted mixture of document kinds.
class Mixture : public DocumentStream {
 public:
  using Maker = std::function<Document(Random&)>;

  explicit Mixture(std::uint64_t seed) : random_(seed) {}

  /// Adds a kind; weight 0 leaves it out.
  void add(std::string kind, double weight, bool rehearsal, Maker make);
  bool empty() const noexcept { return kinds_.empty(); }

  Document next() override;

 private:
  struct Kind {
    std::string name;
    bool rehearsal;
    Maker make;
  };
  Random random_;
  std::vector<Kind> kinds_;
  std::vector<double> weights_;
};

} // namespace errata::editing
