#pragma once

#include "core/base/date.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Plain records shared by the data sets, the edit store, the editors and the evaluator. No tensors,
// no behaviour.

namespace errata::datasets {

/// How a relation is put into words (design: "one's own facts"). `{s}` is the subject, `{o}` the
/// object.
struct Relation {
  std::string name;
  std::vector<std::string> statements; ///< "The capital of {s} is {o}."
  std::vector<std::string> questions;  ///< "What is the capital of {s}?"
  /// Descriptions of the object through the subject: "the capital of {s}".
  std::vector<std::string> noun;
  /// Descriptions of the subject through the object: "the country whose capital is {o}".
  std::vector<std::string> inverse_noun;
  /// Name of the relation that holds the same facts the other way round, or empty.
  std::string inverse;
  /// One object a subject and day; a many-valued relation (borders) is not.
  bool functional = true;
  /// The sentence of one reasoning step: "The capital of {s} is {o}."
  std::string step;
  /// Optional wordings with `{t}`, a year: "In {t}, the head of government of {s} was {o}."
  std::vector<std::string> dated_statements;
  std::vector<std::string> dated_questions;
};

/// A fact with the interval [valid_from, valid_to) in which it held. A missing bound is open: an
/// undated fact holds on every day.
struct Fact {
  std::string subject;
  std::string relation;
  std::string object;
  std::optional<Date> valid_from;
  std::optional<Date> valid_to;
  std::vector<std::string> aliases; ///< other names of the object
  std::string source;
  std::string note;
  /// A stand-in (acting holder): a right answer, but never part of a multi-hop chain.
  bool provisional = false;
};

/// Something that facts are about, under its canonical name.
struct Entity {
  std::string name;
  std::string kind; ///< "country", or empty when nothing is known
  std::vector<std::string> aliases;
};

enum class EditKind { kModification, kInjection, kRemoval };

std::string_view to_string(EditKind kind) noexcept;

/// One difference between two days of the store.
struct Edit {
  std::string id;
  EditKind kind = EditKind::kModification;
  std::string subject;
  std::string relation;
  std::optional<std::string> old_object; ///< missing for an injection
  std::optional<std::string> new_object; ///< missing for a removal
  std::vector<std::string> old_aliases;
  std::vector<std::string> new_aliases;
  std::optional<Date> effective; ///< when the new value began to hold
  std::string source;
  bool provisional = false;
};

/// A prompt and its accepted answers, the first one canonical.
struct Probe {
  std::string prompt;
  std::vector<std::string> answers;
  /// The criterion under which a data set lists it: "Reasoning", "Forgetfulness"; may be empty.
  std::string kind;

  friend bool operator==(const Probe&, const Probe&) = default;
};

/// An edit given outright by its prompt instead of by a fact (`--edits F.jsonl`).
struct ExplicitEdit {
  std::string id;
  std::string prompt;
  std::string target_new;
  std::vector<std::string> target_aliases; ///< other names of `target_new`
  std::string subject;
  std::string relation;
  std::string target_true; ///< empty when the data set does not say what was true before
  std::vector<std::string> paraphrases;
  std::vector<Probe> locality;    ///< must stay as they are
  std::vector<Probe> portability; ///< have another answer because of the edit
  /// Openings for free text about the subject: for measures of fluency, they have no answer.
  std::vector<std::string> generation;
  std::optional<Date> effective;

  friend bool operator==(const ExplicitEdit&, const ExplicitEdit&) = default;
};

/// One step of a chain. A relation that ends in `^-1` is followed from object to subject: the
/// capital of Italy is Rome, so `{"Rome", "capital^-1", "Italy"}`.
struct Hop {
  std::string subject;
  std::string relation;
  std::string object;

  friend bool operator==(const Hop&, const Hop&) = default;
  friend auto operator<=>(const Hop&, const Hop&) = default;
};

inline constexpr std::string_view kInverseSuffix = "^-1";

/// Several questions with one answer that takes two or more facts.
struct MultiHopCase {
  std::string id;
  std::string start;
  std::vector<Hop> chain;     ///< at the first day; empty when it has no answer then
  std::vector<Hop> chain_new; ///< at the second day
  bool changed = false;
  std::string edited_hop; ///< "first", "middle", "last", or empty
  std::vector<std::string> questions;
  std::string answer; ///< empty when there is none at the first day
  std::vector<std::string> answer_aliases;
  std::string new_answer;
  std::vector<std::string> new_answer_aliases;
  std::vector<std::string> edit_ids;

  std::size_t hops() const noexcept { return chain_new.empty() ? chain.size() : chain_new.size(); }

  friend bool operator==(const MultiHopCase&, const MultiHopCase&) = default;
};

} // namespace errata::datasets
