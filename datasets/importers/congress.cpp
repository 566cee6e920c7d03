#include "datasets/importers/import_readers.h"
#include "datasets/importers/intervals.h"
#include "datasets/importers/record_reader.h"
#include "datasets/importers/yaml_elements.h"

// Terms of office from the files of unitedstates/congress-legislators: presidents and vice
// presidents (executive.yaml), senators and representatives (legislators-*.yaml).

namespace errata::datasets {
namespace {

constexpr const char* kCountry = "United States";

Relation office(
    const char* name, const std::string& words, const std::string& where, bool functional) {
  Relation relation;
  relation.name = name;
  relation.functional = functional;
  relation.statements = {"The " + words + " " + where + " {s} is {o}."};
  relation.questions = {"Who is the " + words + " " + where + " {s}?"};
  return relation;
}

struct Person {
  std::string name;
  std::vector<std::string> aliases;
};

void add_name(Person& person, const std::string& name) {
  if (!name.empty() && name != person.name) {
    add_new(person.aliases, name);
  }
}

Person read_person(const JsonFields& fields) {
  const Json* raw = object_field(fields, "name");
  ERRATA_CHECK(raw != nullptr, ErrorCode::kCorrupt, fields.where(), ": field 'name' is missing");
  const JsonFields name(*raw, fields.where() + ": field 'name'");
  const std::string first = text_field(name, "first");
  const std::string last = text_field(name, "last");
  const std::string middle = optional_text_field(name, "middle");
  const std::string suffix = optional_text_field(name, "suffix");
  const std::string nickname = optional_text_field(name, "nickname");
  const std::string whole = first + (middle.empty() ? "" : " " + middle) + " " + last +
                            (suffix.empty() ? "" : " " + suffix);
  const std::string official = optional_text_field(name, "official_full");
  Person person{official.empty() ? whole : official, {}};
  add_name(person, whole);
  add_name(person, first + " " + last);
  add_name(person, nickname.empty() ? "" : nickname + " " + last);
  add_name(person, last);
  return person;
}

/// The slot of a term: which office, of what.
struct Office {
  Relation relation;
  std::string subject;
};

Office read_office(const JsonFields& term) {
  const std::string type = text_field(term, "type");
  if (type == "prez") {
    return {office("president", "president", "of", true), kCountry};
  }
  if (type == "viceprez") {
    return {office("vice_president", "vice president", "of", true), kCountry};
  }
  if (type == "sen") {
    return {office("senator", "senator", "from", false), text_field(term, "state")};
  }
  ERRATA_CHECK(
      type == "rep",
      ErrorCode::kCorrupt,
      term.where(),
      ": field 'type' is '",
      type.substr(0, 40),
      "'; expected prez, viceprez, sen or rep");
  return {
      office("representative", "representative", "of", false),
      text_field(term, "state") + "-" + text_field(term, "district")};
}

void take_term(const JsonFields& term, const Person& person, ImportSink& sink) {
  const Office held = read_office(term);
  Fact fact;
  fact.subject = held.subject;
  fact.relation = held.relation.name;
  fact.object = person.name;
  fact.aliases = person.aliases;
  fact.valid_from = date_field(term, "start");
  fact.valid_to = end_of_interval(fact.valid_from, date_field(term, "end"), term.where());
  fact.source = "congress-legislators";
  fact.note = optional_text_field(term, "party");
  sink.wordings(held.relation);
  sink.fact(fact, MissingEnd::kNotStated);
}

} // namespace

void import_congress(const ImportOptions& options, ImportSink& sink) {
  read_yaml_list(options.path, [&](const Json& value, std::int64_t line, std::int64_t byte) {
    const RecordPlace place{concat(options.path.string(), ':', line), byte};
    take_record(sink, place, [&] {
      const JsonFields fields(value, place.where);
      const Person person = read_person(fields);
      const Json& terms = array_field(fields, "terms");
      for (std::size_t i = 0; i < terms.size(); ++i) {
        const RecordPlace part{concat(place.where, ": field 'terms[", i, "]'"), byte};
        take_record(sink, part, [&] { take_term(JsonFields(terms[i], part.where), person, sink); });
      }
    });
  });
}

} // namespace errata::datasets
