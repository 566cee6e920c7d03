#include "tests/bench/synthetic_facts.h"

#include "core/base/error.h"

#include <numeric>

namespace errata::bench {
namespace {

// SplitMix64: neighbours in, strangers out.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

std::int64_t coprime_stride(std::int64_t count) {
  std::int64_t stride = count / 2 + 7919;
  while (std::gcd(stride, count) != 1) {
    ++stride;
  }
  return stride % count;
}

} // namespace

SyntheticFacts::SyntheticFacts(std::int64_t count, Order order)
    : count_(count), stride_(order == Order::kGrouped ? 1 : coprime_stride(count)) {
  ERRATA_CHECK(
      count > 1 && count < (std::int64_t{1} << 31),
      ErrorCode::kInvalidArgument,
      "a world of ",
      count,
      " facts; expected 2 to 2^31");
}

void SyntheticFacts::put_relations(editing::EditStore& store) const {
  for (std::int64_t relation = 0; relation < kRelations; ++relation) {
    datasets::Relation made;
    made.name = relation_name(relation);
    made.functional = relation < kRelations - 4;
    store.put_relation(made);
  }
}

std::string SyntheticFacts::subject_name(std::int64_t subject) const {
  return "Subject number " + std::to_string(subject);
}

std::string SyntheticFacts::relation_name(std::int64_t relation) {
  return "relation_" + std::to_string(relation);
}

std::int64_t SyntheticFacts::relation_of(std::int64_t subject, std::int64_t slot) {
  // A stride over the relations, so that the slots of one subject differ.
  return static_cast<std::int64_t>(
      (mix(static_cast<std::uint64_t>(subject)) % kRelations + slot * 7) % kRelations);
}

datasets::Fact SyntheticFacts::at(std::int64_t place) const {
  const std::int64_t number = place * stride_ % count_; // both are below 2^31
  const std::int64_t subject = number / kFactsEach;
  const std::int64_t within = number % kFactsEach;
  const std::int64_t slot = within / 2;
  const std::uint64_t draw = mix(static_cast<std::uint64_t>(number));
  datasets::Fact fact;
  fact.subject = subject_name(subject);
  fact.relation = relation_name(relation_of(subject, slot));
  // A quarter of the objects are subjects themselves, so that chains exist.
  const auto object =
      static_cast<std::int64_t>((draw >> 8) % static_cast<std::uint64_t>(subjects()));
  fact.object = (draw & 3) == 0 ? subject_name(object) : "Object number " + std::to_string(object);
  // The second value of a slot begins in the later half of the years.
  const int half = kYears / 2;
  fact.valid_from = Date{
      kFirstYear + static_cast<int>(within % 2) * half + static_cast<int>((draw >> 40) % half),
      1 + static_cast<int>((draw >> 32) % 12),
      1 + static_cast<int>((draw >> 24) % 28)};
  fact.source = "synthetic";
  return fact;
}

} // namespace errata::bench
