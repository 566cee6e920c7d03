#pragma once

#include "editing/plan/knowledge.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace errata::editing::testing {

/// The bundled Factbook, read without a store.
const Knowledge& factbook_knowledge();

/// A small invented world with relations of its own: guilds, their seats and masters. Days that
/// matter: 2020-06-01 and 2024-06-01; in between a master and a seat change.
Knowledge guild_knowledge();

inline constexpr Date kGuildsBefore{2020, 6, 1};
inline constexpr Date kGuildsAfter{2024, 6, 1};

/// Finds any of many phrases in a text, at the start of a word.
class PhraseIndex {
 public:
  void add(const std::string& phrase);
  std::size_t size() const noexcept { return count_; }
  /// The first phrase in `text`, or an empty string.
  std::string find_in(const std::string& text) const;

 private:
  static constexpr std::size_t kPrefix = 8;
  std::unordered_map<std::string, std::vector<std::string>> by_prefix_;
  std::size_t count_ = 0;
};

/// Every question that can be put together for a chain, built from the relations' wordings alone.
std::vector<std::string> all_chain_questions(const Knowledge& knowledge, const Chain& chain);

/// The step sentences of the given facts, for reading a reasoned answer back.
class StepReader {
 public:
  StepReader(const Knowledge& knowledge, const std::vector<datasets::Hop>& hops);
  /// The hops of `" S1. S2.\nAnswer: X"`; throws when a sentence is none of the given facts.
  Chain read(const std::string& reasoning) const;

 private:
  std::unordered_map<std::string, datasets::Hop> hops_;
};

} // namespace errata::editing::testing
