#pragma once

#include "core/base/random.h"
#include "editing/plan/document.h"
#include "editing/plan/knowledge.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

// The forms of a training document and of a prompt. The role word in front keeps every entity name
// in the spelling that SentencePiece gives it in the middle of a sentence.

/// `"Question: {question}\nAnswer:"`: answered at once.
std::string direct_prompt(std::string_view question);
/// `"Question: {question}\nReasoning:"`: answered in steps, then `"\nAnswer: X"`.
std::string reasoning_prompt(std::string_view question);
inline constexpr std::string_view kFactPrompt = "Fact:";
/// What stands before the final answer of a reasoned one.
inline constexpr std::string_view kAnswerMark = "Answer:";

/// Facts in words. Every question of a fact but one (`held_out_question`) may be trained on; that
/// one is kept for evaluation, chosen by a stable hash of subject and relation, so that training
/// before an edit, at an edit and evaluation agree on it without talking to each other.
class Wordings {
 public:
  /// Copies what it needs. A relation without statements or questions gets plain ones made from
  /// its name.
  explicit Wordings(const Knowledge& knowledge);

  std::vector<std::string> statements(const datasets::Hop& hop) const;
  /// All questions for the object of (subject, relation); an inverse asks through `inverse_noun`.
  std::vector<std::string> questions(const std::string& subject, const std::string& relation) const;
  std::string held_out_question(const std::string& subject, const std::string& relation) const;
  /// `questions` without the held-out one, and without the one held out for the same fact in the
  /// relation that holds it the other way round (both may ask in the same words). Never empty.
  std::vector<std::string> training_questions(
      const std::string& subject, const std::string& relation) const;
  /// One of the training questions without making the others.
  std::string training_question(
      const std::string& subject, const std::string& relation, Random& random) const;

  /// Whether a hop has a sentence for a reasoning step.
  bool has_step(const std::string& relation) const;
  /// "The capital of Italy is Rome." / "The country whose capital is Rome is Italy."
  std::string step_sentence(const datasets::Hop& hop) const;
  /// The steps and the answer: `" S1. S2.\nAnswer: X"`.
  std::string reasoning(const Chain& chain) const;
  /// A question whose subject is described through the hops before the last, drawn at random.
  std::string chain_question(const Chain& chain, Random& random) const;
  /// Up to `count` different questions of a chain, the same ones every time.
  std::vector<std::string> chain_questions(const Chain& chain, std::size_t count) const;

  /// "In 2018, the head of government of Italy was X." A relation without dated wordings gets
  /// plain ones ("In 2018: {statement}").
  std::vector<std::string> dated_statements(const datasets::Hop& hop, int year) const;
  std::vector<std::string> dated_questions(
      const std::string& subject, const std::string& relation, int year) const;
  std::string held_out_dated_question(
      const std::string& subject, const std::string& relation, int year) const;
  std::string training_dated_question(
      const std::string& subject, const std::string& relation, int year, Random& random) const;

  /// `"Fact:"` and a statement, loss on the whole of it.
  Document statement_document(const datasets::Hop& hop, Random& random) const;
  /// A statement with the object last, loss on the object only.
  Document object_document(const datasets::Hop& hop, Random& random) const;
  /// A training question and its answer.
  Document question_document(const datasets::Hop& hop, Random& random) const;
  /// A training question answered in one step.
  Document step_document(const datasets::Hop& hop, Random& random) const;
  /// A multi-hop question answered in steps, or at once.
  Document chain_document(const Chain& chain, bool in_steps, Random& random) const;
  Document dated_statement_document(const datasets::Hop& hop, int year, Random& random) const;
  Document dated_question_document(const datasets::Hop& hop, int year, Random& random) const;

 private:
  const datasets::Relation& relation(const std::string& name) const;
  /// The other form in which the same look-up is asked: `leads_government_of` for
  /// `head_of_government^-1` and the other way round. Empty when there is none.
  std::string partner(const std::string& relation_name) const;

  std::map<std::string, datasets::Relation, std::less<>> relations_;
};

} // namespace errata::editing
