#include "core/base/error.h"
#include "editing/plan/text.h"
#include "editing/plan/wordings.h"

#include <algorithm>

// A fact or chain as one training document.

namespace errata::editing {

using datasets::Hop;
using datasets::Relation;

namespace {

Document fact_document(const std::string& text) {
  return {std::string(kFactPrompt), " " + text, {}, false};
}

/// A template whose object comes last is cut before it, so that the loss covers the object alone.
Document cut_before_object(
    const std::string& pattern,
    const std::string& subject,
    const std::string& object,
    const std::string& time) {
  const std::size_t at = pattern.find("{o}");
  const auto stands_before = [&](std::string_view place) {
    const std::size_t found = pattern.find(place);
    return found == std::string::npos || found < at;
  };
  if (at == std::string::npos || at == 0 || pattern[at - 1] != ' ' || !stands_before("{s}") ||
      !stands_before("{t}")) {
    return fact_document(fill_template(pattern, subject, object, time));
  }
  return {
      concat(kFactPrompt, ' ', fill_template(pattern.substr(0, at - 1), subject, object, time)),
      fill_template(pattern.substr(at - 1), subject, object, time),
      {},
      false};
}

bool object_is_last(const std::string& pattern) {
  const std::size_t subject = pattern.find("{s}");
  const std::size_t object = pattern.find("{o}");
  return object != std::string::npos && (subject == std::string::npos || subject < object);
}

Document answered(const std::string& question, const std::string& answer) {
  return {direct_prompt(question), " " + answer, {}, false};
}

} // namespace

Document Wordings::statement_document(const Hop& hop, Random& random) const {
  const std::vector<std::string> all = statements(hop);
  return fact_document(random.choice(all));
}

Document Wordings::object_document(const Hop& hop, Random& random) const {
  const Relation& words = relation(hop.relation);
  if (is_inverse(hop.relation)) {
    const std::string noun =
        sentence_case(fill_template(words.inverse_noun.front(), {}, hop.subject));
    return {concat(kFactPrompt, ' ', noun, " is"), concat(' ', hop.object, '.'), {}, false};
  }
  std::vector<const std::string*> patterns;
  for (const std::string& pattern : words.statements) {
    if (object_is_last(pattern)) {
      patterns.push_back(&pattern);
    }
  }
  if (!words.step.empty() &&
      std::find(words.statements.begin(), words.statements.end(), words.step) ==
          words.statements.end()) {
    patterns.push_back(&words.step);
  }
  const std::string& pattern =
      patterns.empty() ? words.statements.front() : *random.choice(patterns);
  return cut_before_object(pattern, hop.subject, hop.object, {});
}

Document Wordings::question_document(const Hop& hop, Random& random) const {
  return answered(training_question(hop.subject, hop.relation, random), hop.object);
}

Document Wordings::step_document(const Hop& hop, Random& random) const {
  return {
      reasoning_prompt(training_question(hop.subject, hop.relation, random)),
      reasoning({hop}),
      {},
      false};
}

Document Wordings::chain_document(const Chain& chain, bool in_steps, Random& random) const {
  const std::string question = chain_question(chain, random);
  if (in_steps) {
    return {reasoning_prompt(question), reasoning(chain), {}, false};
  }
  return answered(question, chain.back().object);
}

Document Wordings::dated_statement_document(const Hop& hop, int year, Random& random) const {
  const std::string& pattern = random.choice(relation(hop.relation).dated_statements);
  return cut_before_object(pattern, hop.subject, hop.object, std::to_string(year));
}

Document Wordings::dated_question_document(const Hop& hop, int year, Random& random) const {
  return answered(training_dated_question(hop.subject, hop.relation, year, random), hop.object);
}

} // namespace errata::editing
