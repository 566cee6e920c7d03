#pragma once

#include "datasets/record.h"
#include "editing/store/edit_store.h"

#include <cstdint>
#include <string>

// An invented world of any size for measuring the store: fact number n depends on n alone, so that
// no list of them is ever held.

namespace errata::bench {

enum class Order {
  kGrouped,  ///< a subject's facts follow each other, as in the dumps of knowledge bases
  kShuffled, ///< no neighbour has the subject of another
};

class SyntheticFacts {
 public:
  static constexpr std::int64_t kRelations = 40; ///< the last four are many-valued
  static constexpr std::int64_t kFactsEach = 12; ///< facts of one subject, about two values a slot
  static constexpr int kFirstYear = 2000;
  static constexpr int kYears = 25;

  SyntheticFacts(std::int64_t count, Order order);

  std::int64_t count() const noexcept { return count_; }
  std::int64_t subjects() const noexcept { return (count_ + kFactsEach - 1) / kFactsEach; }

  void put_relations(editing::EditStore& store) const;
  /// The fact that comes `place`-th, 0 <= place < count().
  datasets::Fact at(std::int64_t place) const;

  std::string subject_name(std::int64_t subject) const;
  static std::string relation_name(std::int64_t relation);
  /// The relation of the subject's slot number `slot`, 0 <= slot < kFactsEach / 2.
  static std::int64_t relation_of(std::int64_t subject, std::int64_t slot);

 private:
  std::int64_t count_;
  std::int64_t stride_; ///< coprime to `count_`: steps through all places out of order
};

} // namespace errata::bench
