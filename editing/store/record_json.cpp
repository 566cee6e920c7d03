#include "editing/store/record_json.h"

#include "core/base/json.h"

namespace errata::editing {
namespace {

void put(OrderedJson& object, const char* name, const std::string& text) {
  if (!text.empty()) {
    object[name] = text;
  }
}

void put(OrderedJson& object, const char* name, const std::vector<std::string>& texts) {
  if (!texts.empty()) {
    object[name] = texts;
  }
}

void put(OrderedJson& object, const char* name, const std::optional<Date>& date) {
  if (date) {
    object[name] = to_string(*date);
  }
}

void put(OrderedJson& object, const char* name, const std::vector<datasets::Probe>& probes) {
  OrderedJson list = OrderedJson::array();
  for (const datasets::Probe& probe : probes) {
    OrderedJson entry = {{"prompt", probe.prompt}};
    if (!probe.answers.empty()) {
      entry["answer"] = probe.answers.front();
      put(entry, "aliases", std::vector(probe.answers.begin() + 1, probe.answers.end()));
    }
    put(entry, "kind", probe.kind);
    list.push_back(std::move(entry));
  }
  if (!list.empty()) {
    object[name] = std::move(list);
  }
}

OrderedJson chain_json(const std::vector<datasets::Hop>& chain) {
  OrderedJson list = OrderedJson::array();
  for (const datasets::Hop& hop : chain) {
    list.push_back({hop.subject, hop.relation, hop.object});
  }
  return list.empty() ? OrderedJson(nullptr) : list;
}

OrderedJson text_or_null(const std::string& text) {
  return text.empty() ? OrderedJson(nullptr) : OrderedJson(text);
}

} // namespace

OrderedJson to_json(const datasets::Relation& relation) {
  return {
      {"name", relation.name},
      {"functional", relation.functional},
      {"inverse", text_or_null(relation.inverse)},
      {"statements", relation.statements},
      {"questions", relation.questions},
      {"noun", relation.noun},
      {"inverse_noun", relation.inverse_noun},
      {"step", relation.step},
      {"dated_statements", relation.dated_statements},
      {"dated_questions", relation.dated_questions}};
}

OrderedJson to_json(const datasets::Entity& entity) {
  OrderedJson object = {{"name", entity.name}};
  put(object, "kind", entity.kind);
  put(object, "aliases", entity.aliases);
  return object;
}

OrderedJson to_json(const datasets::Fact& fact) {
  OrderedJson object = {
      {"subject", fact.subject}, {"relation", fact.relation}, {"object", fact.object}};
  put(object, "valid_from", fact.valid_from);
  put(object, "valid_to", fact.valid_to);
  put(object, "aliases", fact.aliases);
  put(object, "source", fact.source);
  put(object, "note", fact.note);
  if (fact.provisional) {
    object["provisional"] = true;
  }
  return object;
}

OrderedJson to_json(const datasets::Edit& edit) {
  OrderedJson object = {
      {"id", edit.id},
      {"kind", datasets::to_string(edit.kind)},
      {"subject", edit.subject},
      {"relation", edit.relation},
      {"old", edit.old_object ? OrderedJson(*edit.old_object) : OrderedJson(nullptr)},
      {"new", edit.new_object ? OrderedJson(*edit.new_object) : OrderedJson(nullptr)}};
  put(object, "effective", edit.effective);
  put(object, "aliases_old", edit.old_aliases);
  put(object, "aliases_new", edit.new_aliases);
  put(object, "source", edit.source);
  if (edit.provisional) {
    object["provisional"] = true;
  }
  return object;
}

OrderedJson to_json(const datasets::MultiHopCase& item) {
  return {
      {"id", item.id},
      {"hops", item.hops()},
      {"edited_hop", text_or_null(item.edited_hop)},
      {"start", item.start},
      {"chain", chain_json(item.chain)},
      {"chain_new", chain_json(item.chain_new)},
      {"changed", item.changed},
      {"base_undefined", item.chain.empty()},
      {"questions", item.questions},
      {"answer", text_or_null(item.answer)},
      {"answer_aliases", item.answer_aliases},
      {"new_answer", text_or_null(item.new_answer)},
      {"new_answer_aliases", item.new_answer_aliases},
      {"edit_ids", item.edit_ids}};
}

OrderedJson to_json(const datasets::ExplicitEdit& edit) {
  OrderedJson object = {{"id", edit.id}, {"prompt", edit.prompt}, {"target_new", edit.target_new}};
  put(object, "target_aliases", edit.target_aliases);
  put(object, "subject", edit.subject);
  put(object, "relation", edit.relation);
  put(object, "target_true", edit.target_true);
  put(object, "paraphrases", edit.paraphrases);
  put(object, "locality", edit.locality);
  put(object, "portability", edit.portability);
  put(object, "generation", edit.generation);
  put(object, "effective", edit.effective);
  return object;
}

OrderedJson to_json(const StoredFact& stored) {
  OrderedJson object = to_json(stored.fact);
  object["id"] = stored.id;
  object["change"] = stored.recorded;
  object["recorded_at"] = stored.recorded_at;
  if (stored.superseded != 0) {
    object["superseded"] = stored.superseded;
    object["superseded_at"] = stored.superseded_at;
    object["superseded_by"] =
        stored.superseded_by == 0 ? OrderedJson(nullptr) : OrderedJson(stored.superseded_by);
  }
  return object;
}

} // namespace errata::editing
