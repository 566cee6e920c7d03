#include "datasets/importers/table_mapping.h"

#include "datasets/field_reader.h"
#include "datasets/readers.h"

#include <algorithm>

namespace errata::datasets {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string::npos ? std::string()
                                    : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "The capital of {Country} is" -> "The capital of ", "Country", " is"
std::vector<std::string> pieces_of(const std::string& text, const std::string& where) {
  std::vector<std::string> pieces;
  std::size_t start = 0;
  for (auto open = text.find('{'); open != std::string::npos; open = text.find('{', start)) {
    const auto close = text.find('}', open);
    ERRATA_CHECK(
        close != std::string::npos && close > open + 1,
        ErrorCode::kCorrupt,
        where,
        ": '",
        text.substr(0, 40),
        "' has a bracket without a column; expected {column}");
    pieces.push_back(text.substr(start, open - start));
    pieces.push_back(text.substr(open + 1, close - open - 1));
    start = close + 1;
  }
  pieces.push_back(text.substr(start));
  return pieces;
}

std::vector<std::string> split_text(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (auto place = text.find(separator); place != std::string::npos;
       place = text.find(separator, start)) {
    parts.push_back(trimmed(text.substr(start, place - start)));
    start = place + separator.size();
  }
  parts.push_back(trimmed(text.substr(start)));
  return parts;
}

std::vector<ProbeSource> probe_sources(const JsonFields& fields, const std::string& name) {
  std::vector<ProbeSource> sources;
  if (fields.is_null(name)) {
    return sources;
  }
  const Json& value = *fields.find(name);
  for (const Json& description : value.is_array() ? value : Json::array({value})) {
    const JsonFields probe(description, concat(fields.where(), ": field '", name, "'"));
    probe.reject_unknown({"prompt", "answer", "kind"});
    ERRATA_CHECK(
        !probe.is_null("prompt") && !probe.is_null("answer"),
        ErrorCode::kCorrupt,
        probe.where(),
        ": expected {\"prompt\": ..., \"answer\": ...}");
    sources.push_back(
        {FieldSource(*probe.find("prompt"), probe.where()),
         FieldSource(*probe.find("answer"), probe.where()),
         optional_text_field(probe, "kind")});
  }
  return sources;
}

void read_fields(TableMapping& mapping, const JsonFields& fields) {
  const bool facts = mapping.holds == TableMapping::Holds::kFacts;
  if (facts) {
    fields.reject_unknown(
        {"subject",
         "relation",
         "object",
         "valid_from",
         "valid_to",
         "aliases",
         "source",
         "note",
         "provisional"});
  } else {
    fields.reject_unknown(
        {"id",
         "prompt",
         "target_new",
         "target_aliases",
         "subject",
         "relation",
         "target_true",
         "paraphrases",
         "generation",
         "effective",
         "locality",
         "portability"});
    mapping.locality = probe_sources(fields, "locality");
    mapping.portability = probe_sources(fields, "portability");
  }
  for (const auto& [name, description] : fields.value().items()) {
    if (name != "locality" && name != "portability") {
      mapping.fields[name] =
          FieldSource(description, concat(fields.where(), ": field '", name, "'"));
    }
  }
  const auto require = [&](std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
      ERRATA_CHECK(
          mapping.fields.contains(name),
          ErrorCode::kCorrupt,
          fields.where(),
          ": field '",
          name,
          "' is missing; expected the column that holds it");
    }
  };
  if (facts) {
    require({"subject", "relation", "object"});
  } else {
    require({"prompt", "target_new"});
  }
}

} // namespace

FieldSource::FieldSource(const Json& description, const std::string& where) {
  if (description.is_array()) {
    for (const Json& element : description) {
      add(element, where);
    }
  } else {
    add(description, where);
  }
}

void FieldSource::add(const Json& description, const std::string& where) {
  Part& part = parts_.emplace_back();
  if (description.is_string()) {
    part.pieces = {"", description.get<std::string>(), ""};
    return;
  }
  const JsonFields fields(description, where);
  fields.reject_unknown({"column", "text", "split"});
  ERRATA_CHECK(
      fields.has("column") != fields.has("text"),
      ErrorCode::kCorrupt,
      where,
      ": expected a column's name, {\"column\": ...} or {\"text\": \"... {column} ...\"}");
  part.pieces = fields.has("column")
                    ? std::vector<std::string>{"", text_field(fields, "column"), ""}
                    : pieces_of(text_field(fields, "text"), where);
  part.split = optional_text_field(fields, "split");
}

std::vector<std::string> FieldSource::values(const ColumnValues& columns) const {
  std::vector<std::string> values;
  for (const Part& part : parts_) {
    std::vector<std::string> texts = {""};
    const bool column_alone =
        part.pieces.size() == 3 && part.pieces[0].empty() && part.pieces[2].empty();
    if (column_alone) {
      texts = columns(part.pieces[1]);
    } else {
      for (std::size_t i = 0; i < part.pieces.size() && !texts.empty(); ++i) {
        if (i % 2 == 0) {
          texts.front() += part.pieces[i];
          continue;
        }
        const std::vector<std::string> inner = columns(part.pieces[i]);
        if (inner.empty() || is_blank(inner.front())) {
          texts.clear(); // a sentence about nothing
        } else {
          texts.front() += inner.front();
        }
      }
    }
    for (const std::string& text : texts) {
      for (std::string& value : part.split.empty() ? std::vector<std::string>{trimmed(text)}
                                                   : split_text(text, part.split)) {
        if (!is_blank(value)) {
          values.push_back(std::move(value));
        }
      }
    }
  }
  return values;
}

std::string FieldSource::value(const ColumnValues& columns) const {
  std::vector<std::string> all = values(columns);
  return all.empty() ? std::string() : std::move(all.front());
}

void FieldSource::collect_columns(std::vector<std::string>& columns) const {
  for (const Part& part : parts_) {
    for (std::size_t i = 1; i < part.pieces.size(); i += 2) {
      columns.push_back(part.pieces[i]);
    }
  }
}

const FieldSource& TableMapping::field(std::string_view name) const {
  static const FieldSource none;
  const auto found = fields.find(name);
  return found == fields.end() ? none : found->second;
}

std::vector<std::string> TableMapping::columns() const {
  std::vector<std::string> all;
  for (const auto& [name, source] : fields) {
    source.collect_columns(all);
  }
  for (const auto* probes : {&locality, &portability}) {
    for (const ProbeSource& probe : *probes) {
      probe.prompt.collect_columns(all);
      probe.answers.collect_columns(all);
    }
  }
  return all;
}

TableMapping read_table_mapping(const std::filesystem::path& path) {
  const Json document = read_json(path);
  const JsonFields fields(document, path.string());
  fields.reject_unknown({"holds", "delimiter", "header", "fields", "relations"});
  TableMapping mapping;
  const std::string holds = text_field(fields, "holds");
  ERRATA_CHECK(
      holds == "facts" || holds == "edits",
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'holds' is '",
      holds.substr(0, 40),
      "'; expected facts or edits");
  mapping.holds = holds == "facts" ? TableMapping::Holds::kFacts : TableMapping::Holds::kEdits;
  const std::string delimiter = optional_text_field(fields, "delimiter");
  ERRATA_CHECK(
      delimiter.size() < 2 && delimiter != "\"" && delimiter != "\n",
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'delimiter' must be one character, not a quotation mark or a line end");
  mapping.delimiter = delimiter.empty() ? '\0' : delimiter[0];
  mapping.header = fields.optional<bool>("header", true);
  ERRATA_CHECK(
      !fields.is_null("fields"),
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'fields' is missing; expected {\"subject\": \"column\", ...}");
  read_fields(mapping, JsonFields(*fields.find("fields"), path.string() + ": field 'fields'"));
  if (!fields.is_null("relations")) {
    mapping.relations = parse_relations(*fields.find("relations"), path.string());
  }
  return mapping;
}

} // namespace errata::datasets
