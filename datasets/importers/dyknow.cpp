#include "datasets/importers/import_readers.h"
#include "datasets/importers/intervals.h"
#include "datasets/importers/json_elements.h"
#include "datasets/importers/record_reader.h"

#include <algorithm>

// DyKnow (sislab-unitn/DyKnow): group -> entity -> role -> {questions, answers}, where an answer is
// "value |S: +1999-05-18T00:00:00Z |E: ..." with 00 for an unknown month or day. Athletes and
// companies have no role; their question says what is asked.

namespace errata::datasets {
namespace {

/// "+1996-05-00T00:00:00Z" -> 1996-05
Date wikidata_date(std::string text, const std::string& where) {
  const auto first = text.find_first_not_of(": +");
  text = first == std::string::npos ? "" : text.substr(first);
  text = text.substr(0, text.find('T'));
  while (text.ends_with("-00")) {
    text.resize(text.size() - 3);
  }
  const auto date = try_parse_date(text);
  ERRATA_CHECK(
      date.has_value(), ErrorCode::kCorrupt, where, ": '", text.substr(0, 40), "' is not a date");
  return *date;
}

// The qualifiers are S(tart), E(nd) and P(oint in time), which says nothing about an end.
Fact read_answer(const std::string& answer, const std::string& where) {
  Fact fact;
  auto bar = answer.find(" |");
  fact.object = answer.substr(0, bar);
  std::optional<Date> last;
  while (bar != std::string::npos) {
    const auto next = answer.find(" |", bar + 2);
    const std::string qualifier =
        answer.substr(bar + 2, next == std::string::npos ? next : next - bar - 2);
    const char tag = qualifier.empty() ? '\0' : qualifier[0];
    ERRATA_CHECK(
        tag == 'S' || tag == 'E' || tag == 'P',
        ErrorCode::kCorrupt,
        where,
        ": qualifier '",
        qualifier.substr(0, 40),
        "'; expected S, E or P with a date");
    if (tag != 'P') {
      (tag == 'S' ? fact.valid_from : last) = wikidata_date(qualifier.substr(1), where);
    }
    bar = next;
  }
  fact.valid_to = end_of_interval(fact.valid_from, last, where);
  return fact;
}

/// "Prime Minister of Italy" -> prime_minister
std::string relation_name(std::string role) {
  role = role.substr(0, role.find(" of "));
  std::string name;
  for (const char c : role) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (letter) {
      name += c;
    } else if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.ends_with('_')) {
    name.pop_back();
  }
  return name;
}

/// "What is the current team of X?" -> team
std::string asked_thing(const std::string& question) {
  for (const std::string_view before : {"current ", "the "}) {
    const auto place = question.find(before);
    if (place != std::string::npos) {
      return relation_name(question.substr(place + before.size()));
    }
  }
  return {};
}

// Questions come as a list, or as openings of sentences by kind.
Relation read_wordings(const Json& questions, const std::string& subject) {
  Relation relation;
  for (const auto& [kind, value] : questions.items()) {
    if (!value.is_string()) {
      continue;
    }
    const auto add = questions.is_array() ? add_question : add_opening;
    add(relation, value.get<std::string>(), subject);
  }
  return relation;
}

/// The questions and answers of one entity, under a role or without one.
struct Slot {
  std::string group;
  std::string subject;
  std::string role;
  std::string where;
};

std::string slot_relation(const Slot& slot, const Json& questions) {
  if (!slot.role.empty()) {
    return relation_name(slot.role);
  }
  for (const auto& [kind, value] : questions.items()) {
    const std::string thing = value.is_string() ? asked_thing(value.get<std::string>()) : "";
    if (!thing.empty()) {
      return thing == "chief_executive_officer" ? "ceo" : thing; // the two files differ
    }
  }
  return relation_name(slot.group);
}

void take_slot(const Slot& slot, const Json& value, ImportSink& sink) {
  const JsonFields fields(value, slot.where);
  const Json none = Json::array();
  const Json& questions = fields.has("questions") ? *fields.find("questions") : none;
  Relation relation = read_wordings(questions, slot.subject);
  relation.name = slot_relation(slot, questions);
  // A player is in a club and in a national team at once.
  relation.functional = slot.group.find("athletes") == std::string::npos;
  sink.wordings(relation);
  const Json& answers = array_field(fields, "answers");
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string where = concat(slot.where, ", answer ", i);
    take_record(sink, {where}, [&] {
      ERRATA_CHECK(answers[i].is_string(), ErrorCode::kCorrupt, where, ": is not a text");
      Fact fact = read_answer(answers[i].get_ref<const std::string&>(), where);
      fact.subject = slot.subject;
      fact.relation = relation.name;
      fact.source = "DyKnow";
      sink.fact(fact, MissingEnd::kNotStated);
    });
  }
}

void take_entity(const Slot& slot, const Json& value, ImportSink& sink) {
  ERRATA_CHECK(value.is_object(), ErrorCode::kCorrupt, slot.where, ": is not an object");
  if (value.contains("answers")) {
    take_slot(slot, value, sink);
    return;
  }
  for (const auto& item : value.items()) {
    Slot inner = slot;
    inner.role = item.key();
    inner.where += concat(", '", item.key(), "'");
    take_record(sink, {inner.where}, [&] { take_slot(inner, item.value(), sink); });
  }
}

} // namespace

void import_dyknow(const ImportOptions& options, ImportSink& sink) {
  for (JsonElements groups(options.path); groups.next();) {
    const Json group = groups.value();
    const RecordPlace place{groups.where(), groups.place().byte};
    take_record(sink, place, [&] {
      ERRATA_CHECK(
          groups.is_object() && group.is_object(),
          ErrorCode::kCorrupt,
          place.where,
          ": expected {group: {entity: {role: {\"questions\", \"answers\"}}}}");
      for (const auto& item : group.items()) {
        const Slot slot{groups.key(), item.key(), {}, concat(place.where, ": '", item.key(), "'")};
        take_record(sink, {slot.where}, [&] { take_entity(slot, item.value(), sink); });
      }
    });
  }
}

} // namespace errata::datasets
