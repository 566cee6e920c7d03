#pragma once

#include "datasets/record.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace errata::editing {

class EditStore;

/// Hops that follow each other: the object of one is the subject of the next. A single `Hop` is
/// also how a fact of one day is written: forward (`Italy, capital, Rome`) or the other way round
/// (`Rome, capital^-1, Italy`).
using Chain = std::vector<datasets::Hop>;

/// True for `capital^-1`.
bool is_inverse(std::string_view relation) noexcept;
/// `capital` for both `capital` and `capital^-1`.
std::string_view base_relation(std::string_view relation) noexcept;
/// The hop along the fact itself: an inverse look-up turned round.
datasets::Hop forward(datasets::Hop hop);

/// Everything that plans and documents are made from: facts with all their intervals.
struct Knowledge {
  std::vector<datasets::Relation> relations;
  std::vector<datasets::Fact> facts;
  /// Other names of an entity, whatever fact it stands in.
  std::map<std::string, std::vector<std::string>> aliases;
  std::vector<datasets::MultiHopCase> cases;

  /// The relation called `name`, with or without `^-1`; null when there is none.
  const datasets::Relation* find_relation(std::string_view name) const noexcept;
  /// As `find_relation`; an unknown name is `kNotFound`.
  const datasets::Relation& relation(std::string_view name) const;
};

/// `knowledge` with nothing but the named relations, their facts and the cases that need no other.
Knowledge select_relations(const Knowledge& knowledge, const std::set<std::string>& names);

/// Relations whose values come and go: at least a tenth of their facts carry a date.
std::set<std::string> changing_relations(const Knowledge& knowledge);

/// The content of a store as it is recorded now. The store is not needed afterwards.
Knowledge load_knowledge(const EditStore& store);

/// Its relations and the names of entities alone: what is needed to put things into words.
Knowledge load_vocabulary(const EditStore& store);

/// What names a chain whatever its answer is: its start and the relations followed.
/// `"Rome|capital^-1>currency"`.
std::string chain_key(std::string_view start, const std::vector<std::string>& path);
std::string chain_key(const Chain& chain);

/// Keys of every multi-hop case of `knowledge`: chains that no training document may use.
std::unordered_set<std::string> evaluated_chains(const Knowledge& knowledge);

/// Whether a chain belongs to the development split: held out from training like the evaluated
/// ones, for tuning. Decided by a stable hash of its key alone, so it is the same on every day.
bool is_development_chain(std::string_view key, double share);
inline constexpr double kDevelopmentShare = 0.0125;

/// The name of the fact behind a hop, shared by its forward and inverse form and by the relation
/// that holds the same facts the other way round. Splits hash it, so all forms of a fact fall on
/// one side.
std::string fact_identity(const Knowledge& knowledge, const datasets::Hop& hop);

struct ChainOptions {
  int max_hops = 3;                        ///< 2 to 4
  std::unordered_set<std::string> without; ///< keys (`chain_key`) to leave out
  /// Also leaves out the development split of this share; 0 keeps it.
  double development_share = 0;
  /// More chains than this are thinned by a stable hash of their keys.
  std::size_t limit = 200'000;
};

/// The facts that hold on one day, and how to follow them. Keeps a reference to the knowledge.
class World {
 public:
  World(const Knowledge& knowledge, const Date& day);

  const Knowledge& knowledge() const noexcept { return *knowledge_; }
  const Date& day() const noexcept { return day_; }

  /// The facts of a slot on this day, provisional holders included. A functional slot gives the one
  /// that began last; more than one only if they began together.
  const std::vector<const datasets::Fact*>& values(
      const std::string& subject, const std::string& relation) const;
  /// Subjects that hold `object` on this day (compared without case).
  const std::vector<const datasets::Fact*>& holders(
      const std::string& object, const std::string& relation) const;

  /// The object of a slot that has exactly one value, not a provisional one.
  std::optional<std::string> forward(const std::string& subject, const std::string& relation) const;
  /// The subject, when exactly one holds the object and holds nothing else there.
  std::optional<std::string> backward(const std::string& object, const std::string& relation) const;
  /// `forward`, or `backward` for a relation that ends in `^-1`.
  std::optional<std::string> step(const std::string& from, const std::string& relation) const;
  /// The chain from `start` along `path`; nothing when a step is missing.
  std::optional<Chain> chain(const std::string& start, const std::vector<std::string>& path) const;

  /// Slots with exactly one value (a provisional one too), ordered by relation and subject.
  std::vector<datasets::Hop> single_facts() const;
  /// Unique inverse look-ups of relations that have an `inverse_noun`, without those whose answer
  /// can be read in the question.
  std::vector<datasets::Hop> inverse_facts() const;
  /// Chains of two to `max_hops` hops without a repeated entity. The first hop is a unique inverse
  /// look-up or a relation whose object has facts of its own; the others are forward. Every hop
  /// can be put into words: a `step` for each, a `noun` for all but the last, which needs a
  /// question.
  std::vector<Chain> chains(const ChainOptions& options = {}) const;

  /// Accepted answers: the objects of a slot on this day and their aliases, canonical one first;
  /// for an inverse the subject and its aliases.
  std::vector<std::string> answers(const datasets::Hop& hop) const;

 private:
  using SlotIndex = std::unordered_map<std::string, std::vector<const datasets::Fact*>>;

  const Knowledge* knowledge_;
  Date day_;
  /// relation -> subject -> facts, and relation -> lower-case object -> facts.
  std::map<std::string, SlotIndex, std::less<>> forward_;
  std::map<std::string, SlotIndex, std::less<>> backward_;
};

} // namespace errata::editing
