#include "editing/plan/wordings.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/text.h"

#include <algorithm>
#include <array>
#include <set>

namespace errata::editing {

using datasets::Hop;
using datasets::Relation;

namespace {

constexpr std::array<std::string_view, 3> kInverseFrames = {
    "Name {s}.", "What is {s} called?", "Which is {s}?"};
/// Fewer questions than this would leave none to train on beside the held-out one.
constexpr std::size_t kLeastQuestions = 2;
/// The same where another relation asks for the same facts and holds out a question too.
constexpr std::size_t kLeastSharedQuestions = 3;

/// `head_of_state` -> "head of state"
std::string spoken_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name.ends_with(" of") ? name.substr(0, name.size() - 3) : name;
}

Relation with_fallbacks(Relation relation) {
  const std::string noun = "the " + spoken_name(relation.name) + " of {s}";
  if (relation.statements.empty()) {
    relation.statements.push_back(
        relation.step.empty() ? sentence_case(noun) + " is {o}." : relation.step);
  }
  const std::size_t least = relation.inverse.empty() ? kLeastQuestions : kLeastSharedQuestions;
  for (const std::string& question :
       {"What is " + noun + "?", "Name " + noun + ".", "Which is " + noun + "?"}) {
    if (relation.questions.size() < least &&
        std::find(relation.questions.begin(), relation.questions.end(), question) ==
            relation.questions.end()) {
      relation.questions.push_back(question);
    }
  }
  if (relation.dated_statements.empty()) {
    for (const std::string& statement : relation.statements) {
      relation.dated_statements.push_back("In {t}: " + statement);
    }
  }
  if (relation.dated_questions.size() < kLeastQuestions) {
    for (const std::string& question : relation.questions) {
      relation.dated_questions.push_back("In {t}: " + question);
      relation.dated_questions.push_back("As of {t}: " + question);
    }
  }
  return relation;
}

std::size_t held_out_index(
    std::string_view subject, std::string_view relation, std::string_view time, std::size_t count) {
  const std::string key = concat("question|", subject, '|', relation, '|', time);
  return static_cast<std::size_t>(stable_hash(key) % count);
}

/// A random index other than `held`.
std::size_t other_index(std::size_t count, std::size_t held, Random& random) {
  ERRATA_CHECK(
      count >= kLeastQuestions, ErrorCode::kInternal, "only the held-out question is left");
  const std::size_t index = random.index(count - 1);
  return index < held ? index : index + 1;
}

/// The question number `index` of all that ask for an inverse: every description in every frame.
std::string inverse_question(
    const Relation& relation, const std::string& object, std::size_t index) {
  const std::string& noun = relation.inverse_noun[index / kInverseFrames.size()];
  return fill_template(
      kInverseFrames[index % kInverseFrames.size()], fill_template(noun, {}, object), {});
}

std::size_t question_count(const Relation& relation, bool inverse) {
  return inverse ? relation.inverse_noun.size() * kInverseFrames.size() : relation.questions.size();
}

} // namespace

std::string direct_prompt(std::string_view question) {
  return concat("Question: ", question, "\nAnswer:");
}

std::string reasoning_prompt(std::string_view question) {
  return concat("Question: ", question, "\nReasoning:");
}

Wordings::Wordings(const Knowledge& knowledge) {
  for (const Relation& described : knowledge.relations) {
    relations_.emplace(described.name, with_fallbacks(described));
  }
  for (const datasets::Fact& fact : knowledge.facts) {
    if (!relations_.contains(fact.relation)) {
      Relation unknown;
      unknown.name = fact.relation;
      relations_.emplace(fact.relation, with_fallbacks(std::move(unknown)));
    }
  }
}

const Relation& Wordings::relation(const std::string& name) const {
  const auto found = relations_.find(base_relation(name));
  ERRATA_CHECK(
      found != relations_.end(),
      ErrorCode::kNotFound,
      "relation '",
      name,
      "' is not described; expected an entry in the store's relations");
  ERRATA_CHECK(
      !is_inverse(name) || !found->second.inverse_noun.empty(),
      ErrorCode::kNotFound,
      "relation '",
      base_relation(name),
      "' has no inverse_noun; expected at least one description of its subject");
  return found->second;
}

std::vector<std::string> Wordings::statements(const Hop& hop) const {
  const Relation& words = relation(hop.relation);
  std::vector<std::string> result;
  if (!is_inverse(hop.relation)) {
    for (const std::string& pattern : words.statements) {
      result.push_back(fill_template(pattern, hop.subject, hop.object));
    }
    return result;
  }
  for (const std::string& noun : words.inverse_noun) {
    const std::string description = fill_template(noun, {}, hop.subject);
    result.push_back(concat(sentence_case(description), " is ", hop.object, '.'));
    result.push_back(concat(hop.object, " is ", description, '.'));
  }
  return result;
}

std::vector<std::string> Wordings::questions(
    const std::string& subject, const std::string& relation_name) const {
  const Relation& words = relation(relation_name);
  const bool inverse = is_inverse(relation_name);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < question_count(words, inverse); ++i) {
    result.push_back(
        inverse ? inverse_question(words, subject, i)
                : fill_template(words.questions[i], subject, {}));
  }
  return result;
}

std::string Wordings::held_out_question(
    const std::string& subject, const std::string& relation_name) const {
  const std::vector<std::string> all = questions(subject, relation_name);
  return all[held_out_index(subject, relation_name, {}, all.size())];
}

std::string Wordings::partner(const std::string& relation_name) const {
  const Relation& words = relation(relation_name);
  if (words.inverse.empty() || words.inverse == words.name) {
    return {};
  }
  const auto other = relations_.find(words.inverse);
  if (other == relations_.end()) {
    return {};
  }
  if (is_inverse(relation_name)) {
    return words.inverse;
  }
  return other->second.inverse_noun.empty() ? std::string()
                                            : concat(words.inverse, datasets::kInverseSuffix);
}

std::vector<std::string> Wordings::training_questions(
    const std::string& subject, const std::string& relation_name) const {
  std::vector<std::string> all = questions(subject, relation_name);
  const std::size_t held = held_out_index(subject, relation_name, {}, all.size());
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(held));
  if (const std::string other = partner(relation_name); !other.empty()) {
    std::erase(all, held_out_question(subject, other));
  }
  return all;
}

std::string Wordings::training_question(
    const std::string& subject, const std::string& relation_name, Random& random) const {
  if (!partner(relation_name).empty()) {
    const std::vector<std::string> all = training_questions(subject, relation_name);
    return random.choice(all);
  }
  const Relation& words = relation(relation_name);
  const bool inverse = is_inverse(relation_name);
  const std::size_t count = question_count(words, inverse);
  const std::size_t index =
      other_index(count, held_out_index(subject, relation_name, {}, count), random);
  return inverse ? inverse_question(words, subject, index)
                 : fill_template(words.questions[index], subject, {});
}

bool Wordings::has_step(const std::string& relation_name) const {
  return is_inverse(relation_name) || !relation(relation_name).step.empty();
}

std::string Wordings::step_sentence(const Hop& hop) const {
  const Relation& words = relation(hop.relation);
  if (is_inverse(hop.relation)) {
    return concat(
        sentence_case(fill_template(words.inverse_noun.front(), {}, hop.subject)),
        " is ",
        hop.object,
        '.');
  }
  return fill_template(
      words.step.empty() ? words.statements.front() : words.step, hop.subject, hop.object);
}

std::string Wordings::reasoning(const Chain& chain) const {
  std::string text;
  for (const Hop& hop : chain) {
    text += ' ';
    text += step_sentence(hop);
  }
  return concat(text, '\n', kAnswerMark, ' ', chain.back().object);
}

std::string Wordings::chain_question(const Chain& chain, Random& random) const {
  ERRATA_CHECK(!chain.empty(), ErrorCode::kInternal, "question for an empty chain");
  std::string described = chain.front().subject;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    const Relation& words = relation(chain[i].relation);
    const bool inverse = is_inverse(chain[i].relation);
    const std::vector<std::string>& nouns = inverse ? words.inverse_noun : words.noun;
    ERRATA_CHECK(
        !nouns.empty(),
        ErrorCode::kNotFound,
        "relation '",
        words.name,
        "' has no noun; expected one to describe its object within a longer question");
    const std::string& noun = random.choice(nouns);
    described = inverse ? fill_template(noun, {}, described) : fill_template(noun, described, {});
  }
  const Relation& last = relation(chain.back().relation);
  if (is_inverse(chain.back().relation)) {
    return inverse_question(last, described, random.index(question_count(last, true)));
  }
  return fill_template(random.choice(last.questions), described, {});
}

std::vector<std::string> Wordings::chain_questions(const Chain& chain, std::size_t count) const {
  constexpr std::size_t kTriesEach = 20;
  Random random(stable_hash(concat("wording|", chain_key(chain))));
  std::vector<std::string> result;
  for (std::size_t i = 0; i < count * kTriesEach && result.size() < count; ++i) {
    std::string question = chain_question(chain, random);
    if (std::find(result.begin(), result.end(), question) == result.end()) {
      result.push_back(std::move(question));
    }
  }
  return result;
}

std::vector<std::string> Wordings::dated_statements(const Hop& hop, int year) const {
  const std::string time = std::to_string(year);
  std::vector<std::string> result;
  for (const std::string& pattern : relation(hop.relation).dated_statements) {
    result.push_back(fill_template(pattern, hop.subject, hop.object, time));
  }
  return result;
}

std::vector<std::string> Wordings::dated_questions(
    const std::string& subject, const std::string& relation_name, int year) const {
  const std::string time = std::to_string(year);
  std::vector<std::string> result;
  for (const std::string& pattern : relation(relation_name).dated_questions) {
    result.push_back(fill_template(pattern, subject, {}, time));
  }
  return result;
}

std::string Wordings::held_out_dated_question(
    const std::string& subject, const std::string& relation_name, int year) const {
  const std::vector<std::string>& patterns = relation(relation_name).dated_questions;
  const std::string time = std::to_string(year);
  return fill_template(
      patterns[held_out_index(subject, relation_name, time, patterns.size())], subject, {}, time);
}

std::string Wordings::training_dated_question(
    const std::string& subject, const std::string& relation_name, int year, Random& random) const {
  const std::vector<std::string>& patterns = relation(relation_name).dated_questions;
  const std::string time = std::to_string(year);
  const std::size_t held = held_out_index(subject, relation_name, time, patterns.size());
  return fill_template(patterns[other_index(patterns.size(), held, random)], subject, {}, time);
}

} // namespace errata::editing
