#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"

#include <algorithm>
#include <array>
#include <optional>

// RippleEdits (2307.12976; edenbiran/RippleEdits). The edit is one sentence, and names stand
// nowhere by themselves: subject and target are found through the queries that share their ids.

namespace errata::datasets {
namespace {

struct Criterion {
  std::string_view field;
  std::string_view kind;
  std::vector<Probe> ExplicitEdit::*probes;
};

constexpr std::array<Criterion, 7> kCriteria = {{
    {"Relation_Specificity", "Relation_Specificity", &ExplicitEdit::locality},
    {"Relation_Specifity",
     "Relation_Specificity",
     &ExplicitEdit::locality}, // as the README spells it
    {"Forgetfulness", "Forgetfulness", &ExplicitEdit::locality},
    {"Logical_Generalization", "Logical_Generalization", &ExplicitEdit::portability},
    {"Subject_Aliasing", "Subject_Aliasing", &ExplicitEdit::portability},
    {"Compositionality_I", "Compositionality_I", &ExplicitEdit::portability},
    {"Compositionality_II", "Compositionality_II", &ExplicitEdit::portability},
}};

/// One question of a test.
struct RippleQuery {
  std::string prompt;
  std::vector<std::vector<std::string>> answers; ///< value and aliases of each
  std::string subject_id;
  std::vector<std::string> target_ids; ///< of the answers, in their order
};

std::vector<std::string> value_and_aliases(const JsonFields& answer) {
  std::vector<std::string> names = names_field(answer, "value");
  for (std::string& alias : names_field(answer, "aliases")) {
    add_new(names, std::move(alias));
  }
  return names;
}

RippleQuery read_query(const JsonFields& fields) {
  RippleQuery query;
  query.prompt = text_field(fields, "prompt");
  for (const Json& answer : array_field(fields, "answers")) {
    query.answers.push_back(value_and_aliases(JsonFields(answer, fields.where() + ": an answer")));
  }
  query.subject_id = optional_text_field(fields, "subject_id");
  // Of a question over two hops `target_ids` is where the first one ends; it is not the answer.
  query.target_ids = texts_field(
      fields, fields.is_null("second_hop_target_ids") ? "target_ids" : "second_hop_target_ids");
  return query;
}

/// A criterion's tests, flattened.
struct Questions {
  std::vector<RippleQuery> asked;
  std::vector<RippleQuery> conditions;
};

Questions read_tests(const JsonFields& fields, std::string_view name) {
  Questions questions;
  const Json& tests = array_field(fields, name);
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const JsonFields test(tests[i], concat(fields.where(), ": field '", name, "[", i, "]'"));
    for (const Json& query : array_field(test, "test_queries")) {
      questions.asked.push_back(read_query(JsonFields(query, test.where())));
    }
    for (const Json& query : array_field(test, "condition_queries")) {
      questions.conditions.push_back(read_query(JsonFields(query, test.where())));
    }
  }
  return questions;
}

// The names of the entity with this id: some query has it for an answer.
std::vector<std::string> names_by_id(
    const std::string& id, const std::vector<RippleQuery>& queries) {
  for (const RippleQuery& query : queries) {
    const auto place = std::find(query.target_ids.begin(), query.target_ids.end(), id);
    const auto index = static_cast<std::size_t>(place - query.target_ids.begin());
    if (place != query.target_ids.end() && index < query.answers.size() &&
        !query.answers[index].empty()) {
      return query.answers[index];
    }
  }
  return {};
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

/// Cuts "The mother of X is Y." into prompt and target.
struct Sentence {
  std::string prompt;
  std::string target;
};

std::optional<Sentence> cut_sentence(
    std::string text, const std::vector<std::string>& names, const std::string& other_sentence) {
  if (text.ends_with('.')) {
    text.pop_back();
  }
  for (const std::string& name : names) {
    if (text.size() > name.size() + 1 && text.ends_with(" " + name)) {
      return Sentence{text.substr(0, text.size() - name.size() - 1), name};
    }
  }
  // The sentence about the former target is the same up to it; else the verb is the last one.
  const auto shared = text.rfind(' ', common_prefix(text, other_sentence));
  const auto verb = text.rfind(" is ");
  std::size_t cut = std::string::npos;
  if (!other_sentence.empty() && shared != std::string::npos && shared > 0) {
    cut = shared;
  } else if (verb != std::string::npos) {
    cut = verb + 3;
  }
  if (cut == std::string::npos || cut + 1 >= text.size()) {
    return std::nullopt;
  }
  return Sentence{text.substr(0, cut), text.substr(cut + 1)};
}

// What "of X is" at the end of the edit's prompt shares with another question about the subject.
std::string subject_name(
    const std::string& prompt, const std::string& id, const std::vector<RippleQuery>& queries) {
  constexpr std::string_view kBefore = " of ";
  constexpr std::string_view kAfter = " is";
  std::string best;
  for (const RippleQuery& query : queries) {
    if (query.subject_id != id || query.prompt == prompt || !prompt.ends_with(kAfter)) {
      continue;
    }
    const auto same = static_cast<std::size_t>(
        std::mismatch(prompt.rbegin(), prompt.rend(), query.prompt.rbegin(), query.prompt.rend())
            .first -
        prompt.rbegin());
    const std::string_view tail = std::string_view(prompt).substr(prompt.size() - same);
    const auto start = tail.find(kBefore);
    if (start == std::string_view::npos || tail.size() <= start + kBefore.size() + kAfter.size()) {
      continue;
    }
    const std::string name(
        tail.substr(start + kBefore.size(), tail.size() - start - kBefore.size() - kAfter.size()));
    if (best.empty() || name.size() < best.size()) {
      best = name;
    }
  }
  return best;
}

ExplicitEdit read_edit(const JsonRecord& record, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  const Json* raw = object_field(fields, "edit");
  ERRATA_CHECK(raw != nullptr, ErrorCode::kCorrupt, fields.where(), ": field 'edit' is missing");
  const JsonFields statement(*raw, fields.where() + ": field 'edit'");
  ExplicitEdit edit;
  edit.id = std::to_string(record.index);
  std::vector<RippleQuery> all;
  std::size_t conditions = 0;
  for (const Criterion& criterion : kCriteria) {
    const Questions questions = read_tests(fields, criterion.field);
    for (const RippleQuery& query : questions.asked) {
      Probe probe{query.prompt, {}, std::string(criterion.kind)};
      for (const auto& names : query.answers) {
        probe.answers.insert(probe.answers.end(), names.begin(), names.end());
      }
      if (probe.answers.empty()) {
        sink.remark(concat(fields.where(), ": a query of '", criterion.field, "' has no answer"));
      } else {
        (edit.*criterion.probes).push_back(std::move(probe));
      }
    }
    conditions += questions.conditions.size();
    all.insert(all.end(), questions.asked.begin(), questions.asked.end());
    all.insert(all.end(), questions.conditions.begin(), questions.conditions.end());
  }

  const Json* original = object_field(statement, "original_fact");
  const JsonFields former(original == nullptr ? *raw : *original, statement.where());
  const std::string sentence = text_field(statement, "prompt");
  const std::vector<std::string> names = names_by_id(text_field(statement, "target_id"), all);
  const auto parts = cut_sentence(
      sentence, names, original == nullptr ? std::string() : text_field(former, "prompt"));
  ERRATA_CHECK(
      parts.has_value(),
      ErrorCode::kCorrupt,
      statement.where(),
      ": no target found in '",
      sentence.substr(0, 80),
      "'");
  edit.prompt = parts->prompt;
  edit.target_new = parts->target;
  for (const std::string& name : names) {
    if (name != edit.target_new) {
      edit.target_aliases.push_back(name);
    }
  }
  edit.relation = text_field(statement, "relation");
  edit.subject = subject_name(edit.prompt, optional_text_field(statement, "subject_id"), all);
  if (original != nullptr) {
    std::string old = text_field(former, "prompt");
    if (old.ends_with('.')) {
      old.pop_back();
    }
    edit.target_true = old.starts_with(edit.prompt + " ") ? old.substr(edit.prompt.size() + 1) : "";
  }
  if (conditions > 0) {
    sink.remark(concat(
        fields.where(), ": ", conditions, " condition queries left out; every test is asked"));
  }
  return edit;
}

} // namespace

void import_ripple_edits(const ImportOptions& options, ImportSink& sink) {
  read_records(
      options.path, sink, [&](const JsonRecord& record) { sink.edit(read_edit(record, sink)); });
}

} // namespace errata::datasets
