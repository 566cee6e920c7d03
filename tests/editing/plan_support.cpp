#include "tests/editing/plan_support.h"

#include "core/base/error.h"
#include "datasets/factbook.h"
#include "tests/editing/facts.h"

#include <cctype>

namespace errata::editing::testing {

using datasets::Hop;
using datasets::MultiHopCase;
using datasets::Relation;

namespace {

std::string replace(std::string text, const std::string& place, const std::string& value) {
  const std::size_t at = text.find(place);
  return at == std::string::npos ? text : text.replace(at, place.size(), value);
}

std::string upper_first(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::vector<Relation> guild_relations() {
  Relation master;
  master.name = "master";
  master.statements = {"{o} is the master of {s}.", "The master of {s} is {o}."};
  master.questions = {"Who is the master of {s}?", "Who heads {s}?", "Name {s}'s master."};
  master.noun = {"the master of {s}", "the head of {s}"};
  master.inverse_noun = {"the guild that {o} heads", "the guild whose master is {o}"};
  master.inverse = "master_of";
  master.step = "The master of {s} is {o}.";
  master.dated_statements = {"In {t}, the master of {s} was {o}."};
  master.dated_questions = {"Who was the master of {s} in {t}?", "Who headed {s} in {t}?"};
  Relation master_of;
  master_of.name = "master_of";
  master_of.statements = {"{s} is master of {o}."};
  master_of.questions = {"Which guild does {s} head?", "Of which guild is {s} the master?"};
  master_of.inverse = "master";
  Relation seat;
  seat.name = "seat";
  seat.statements = {"{s} has its seat in {o}."};
  seat.questions = {"Where does {s} have its seat?", "In which town sits {s}?"};
  seat.noun = {"the seat of {s}"};
  seat.inverse_noun = {"the guild with its seat in {o}"};
  seat.step = "The seat of {s} is {o}.";
  Relation river; // hardly described: everything else is made from its name
  river.name = "river";
  river.noun = {"the river of {s}"};
  river.step = "The river of {s} is the {o}.";
  Relation birth_year;
  birth_year.name = "birth_year";
  birth_year.step = "{s} was born in {o}.";
  Relation trades;
  trades.name = "trades_with";
  trades.statements = {"{s} trades with {o}."};
  trades.questions = {"With whom does {s} trade?", "Name a partner of {s}."};
  trades.noun = {"the only partner of {s}"};
  trades.step = "The only partner of {s} is {o}.";
  trades.inverse = "trades_with";
  trades.functional = false;
  return {master, master_of, seat, river, birth_year, trades};
}

} // namespace

const Knowledge& factbook_knowledge() {
  static const Knowledge knowledge = [] {
    datasets::Factbook book = datasets::read_factbook(datasets::factbook_directory());
    Knowledge result;
    result.relations = std::move(book.relations);
    result.facts = std::move(book.facts);
    result.cases = std::move(book.multi_hop);
    for (datasets::Entity& entity : book.entities) {
      if (!entity.aliases.empty()) {
        result.aliases.emplace(std::move(entity.name), std::move(entity.aliases));
      }
    }
    return result;
  }();
  return knowledge;
}

Knowledge guild_knowledge() {
  const char* change = "2022-03-05";
  const char* start = "2010-01-01";
  Knowledge knowledge;
  knowledge.relations = guild_relations();
  knowledge.facts = {
      fact("Weavers", "master", "Ada Thorn", start, change),
      fact("Weavers", "master", "Bo Linden", change),
      fact("Ada Thorn", "master_of", "Weavers", start, change),
      fact("Bo Linden", "master_of", "Weavers", change),
      fact("Ada Thorn", "birth_year", "1961", start, change),
      fact("Bo Linden", "birth_year", "1975", change),
      fact("Bakers", "master", "Cy Marsh", "2018-05"),
      fact("Cy Marsh", "master_of", "Bakers", "2018-05"),
      fact("Cy Marsh", "birth_year", "1980", "2018-05"),
      fact("Smiths", "master", "Di Frost", start),
      fact("Di Frost", "master_of", "Smiths", start),
      fact("Di Frost", "birth_year", "1955", start),
      fact("Weavers", "seat", "Aldern"),
      fact("Bakers", "seat", "Borough", "", change),
      fact("Bakers", "seat", "Corvale", change),
      fact("Smiths", "seat", "Dunmere"),
      fact("Aldern", "river", "Isk"),
      fact("Borough", "river", "Isk"),
      fact("Corvale", "river", "Moss"),
      fact("Dunmere", "river", "Tarn"),
      fact("Aldern", "trades_with", "Borough"),
      fact("Borough", "trades_with", "Aldern"),
      fact("Borough", "trades_with", "Corvale"),
      fact("Corvale", "trades_with", "Borough"),
  };
  knowledge.facts[1].aliases = {"Linden"};
  knowledge.aliases["Ada Thorn"] = {"Thorn"};
  MultiHopCase item;
  item.id = "G1";
  item.start = "Weavers";
  item.chain = {{"Weavers", "master", "Ada Thorn"}, {"Ada Thorn", "birth_year", "1961"}};
  item.chain_new = {{"Weavers", "master", "Bo Linden"}, {"Bo Linden", "birth_year", "1975"}};
  item.questions = {"In which year was the head of the Weavers born?"};
  item.answer = "1961";
  item.new_answer = "1975";
  knowledge.cases = {item};
  return knowledge;
}

void PhraseIndex::add(const std::string& phrase) {
  ERRATA_CHECK(phrase.size() >= kPrefix, ErrorCode::kInternal, "phrase too short: ", phrase);
  by_prefix_[phrase.substr(0, kPrefix)].push_back(phrase);
  ++count_;
}

std::string PhraseIndex::find_in(const std::string& text) const {
  for (std::size_t at = 0; at + kPrefix <= text.size(); ++at) {
    if (at > 0 && std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0) {
      continue;
    }
    const auto found = by_prefix_.find(text.substr(at, kPrefix));
    if (found == by_prefix_.end()) {
      continue;
    }
    for (const std::string& phrase : found->second) {
      if (text.compare(at, phrase.size(), phrase) == 0) {
        return phrase;
      }
    }
  }
  return {};
}

std::vector<std::string> all_chain_questions(const Knowledge& knowledge, const Chain& chain) {
  std::vector<std::string> described{chain.front().subject};
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    const Relation& relation = knowledge.relation(chain[i].relation);
    const bool inverse = is_inverse(chain[i].relation);
    std::vector<std::string> next;
    for (const std::string& noun : inverse ? relation.inverse_noun : relation.noun) {
      for (const std::string& inner : described) {
        next.push_back(replace(noun, inverse ? "{o}" : "{s}", inner));
      }
    }
    described = std::move(next);
  }
  std::vector<std::string> questions;
  for (const std::string& question : knowledge.relation(chain.back().relation).questions) {
    for (const std::string& inner : described) {
      questions.push_back(replace(question, "{s}", inner));
    }
  }
  return questions;
}

StepReader::StepReader(const Knowledge& knowledge, const std::vector<Hop>& hops) {
  for (const Hop& hop : hops) {
    const Relation& relation = knowledge.relation(hop.relation);
    if (is_inverse(hop.relation)) {
      const std::string noun = replace(relation.inverse_noun.front(), "{o}", hop.subject);
      hops_[upper_first(noun) + " is " + hop.object + "."] = hop;
    } else if (!relation.step.empty()) {
      hops_[replace(replace(relation.step, "{s}", hop.subject), "{o}", hop.object)] = hop;
    }
  }
}

Chain StepReader::read(const std::string& reasoning) const {
  const std::size_t end = reasoning.find("\nAnswer:");
  ERRATA_CHECK(end != std::string::npos, ErrorCode::kInternal, "no answer in: ", reasoning);
  const std::string steps = reasoning.substr(1, end - 1);
  Chain chain;
  std::size_t start = 0;
  while (start < steps.size()) {
    std::size_t stop = start;
    do { // names hold full stops too: the shortest known sentence that ends before a space
      stop = steps.find('.', stop);
      ERRATA_CHECK(
          stop != std::string::npos,
          ErrorCode::kInternal,
          "not a known step: ",
          steps.substr(start));
      ++stop;
    } while (!hops_.contains(steps.substr(start, stop - start)) ||
             (stop < steps.size() && steps[stop] != ' '));
    chain.push_back(hops_.at(steps.substr(start, stop - start)));
    start = stop + 1;
  }
  return chain;
}

} // namespace errata::editing::testing
