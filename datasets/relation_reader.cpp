#include "core/base/did_you_mean.h"
#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

#include <algorithm>

namespace errata::datasets {
namespace {

void check_inverses(const std::vector<Relation>& relations, const std::string& where) {
  std::vector<std::string> names;
  for (const Relation& relation : relations) {
    names.push_back(relation.name);
  }
  for (const Relation& relation : relations) {
    const auto inverse =
        std::find_if(relations.begin(), relations.end(), [&](const Relation& other) {
          return other.name == relation.inverse;
        });
    if (relation.inverse.empty()) {
      continue;
    }
    ERRATA_CHECK(
        inverse != relations.end(),
        ErrorCode::kCorrupt,
        where,
        ": relation '",
        relation.name,
        "', field 'inverse' is '",
        relation.inverse,
        "', which is not in the file",
        did_you_mean(relation.inverse, names));
    ERRATA_CHECK(
        inverse->inverse == relation.name,
        ErrorCode::kCorrupt,
        where,
        ": relation '",
        relation.name,
        "' names '",
        relation.inverse,
        "' as its inverse; expected that one to name '",
        relation.name,
        "' in turn");
  }
}

void check_wordings(
    const std::vector<std::string>& wordings,
    std::initializer_list<std::string_view> needed,
    const JsonFields& fields,
    std::string_view name) {
  for (const std::string& wording : wordings) {
    for (const std::string_view slot : needed) {
      ERRATA_CHECK(
          wording.find(slot) != std::string::npos,
          ErrorCode::kCorrupt,
          fields.where(),
          ", field '",
          name,
          "': \"",
          wording.substr(0, 80),
          "\" lacks ",
          slot);
    }
  }
}

Relation read_relation(const std::string& name, const JsonFields& fields) {
  fields.reject_unknown(
      {"statements",
       "questions",
       "noun",
       "inverse_noun",
       "inverse",
       "functional",
       "step",
       "dated_statements",
       "dated_questions"});
  Relation relation;
  relation.name = name;
  relation.statements = list_field(fields, "statements");
  relation.questions = list_field(fields, "questions");
  relation.noun = list_field(fields, "noun");
  relation.inverse_noun = list_field(fields, "inverse_noun");
  relation.inverse = optional_text_field(fields, "inverse");
  relation.functional = fields.optional<bool>("functional", true);
  relation.step = optional_text_field(fields, "step");
  relation.dated_statements = list_field(fields, "dated_statements");
  relation.dated_questions = list_field(fields, "dated_questions");
  check_wordings(relation.statements, {"{s}", "{o}"}, fields, "statements");
  check_wordings(relation.questions, {"{s}"}, fields, "questions");
  check_wordings(relation.noun, {"{s}"}, fields, "noun");
  check_wordings(relation.inverse_noun, {"{o}"}, fields, "inverse_noun");
  check_wordings(relation.dated_statements, {"{s}", "{o}", "{t}"}, fields, "dated_statements");
  check_wordings(relation.dated_questions, {"{s}", "{t}"}, fields, "dated_questions");
  if (!relation.step.empty()) {
    check_wordings({relation.step}, {"{s}", "{o}"}, fields, "step");
  }
  return relation;
}

} // namespace

std::vector<Relation> parse_relations(const nlohmann::json& value, const std::string& where) {
  const JsonFields all(value, where);
  std::vector<Relation> relations;
  for (const auto& [name, description] : value.items()) {
    const std::string place = concat(where, ": relation '", name, "'");
    ERRATA_CHECK(!name.empty(), ErrorCode::kCorrupt, place, " has no name");
    relations.push_back(read_relation(name, JsonFields(description, place)));
  }
  check_inverses(relations, where);
  return relations;
}

std::vector<Relation> read_relations(const std::filesystem::path& path) {
  return parse_relations(read_json(path), path.string());
}

} // namespace errata::datasets
