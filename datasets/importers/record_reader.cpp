#include "datasets/importers/record_reader.h"

#include "core/base/files.h"
#include "datasets/importers/json_elements.h"

#include <algorithm>
#include <fstream>

namespace errata::datasets {
namespace {

// What the file begins with, white space and byte order mark apart.
char first_character(const std::filesystem::path& path) {
  require_file(path);
  std::ifstream in(path, std::ios::binary);
  ERRATA_CHECK(in.good(), ErrorCode::kIo, "cannot open ", path.string());
  for (char c = 0; in.get(c);) {
    const auto byte = static_cast<unsigned char>(c);
    const bool mark = byte == 0xEF || byte == 0xBB || byte == 0xBF;
    if (!mark && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      return c;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kCorrupt, path.string(), ": the file is empty; expected a list of records");
}

void collect_texts(
    const Json& value,
    const JsonFields& fields,
    std::string_view name,
    std::vector<std::string>& texts) {
  if (value.is_array()) {
    for (const Json& element : value) {
      collect_texts(element, fields, name, texts);
    }
    return;
  }
  if (value.is_null()) {
    return;
  }
  ERRATA_CHECK(
      value.is_string() || value.is_number(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' holds neither texts nor lists of them");
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (!is_blank(text)) {
    texts.push_back(std::move(text));
  }
}

// `text` with `{s}` for the subject; empty when it does not name it.
std::string template_of(std::string text, const std::string& subject) {
  constexpr std::string_view kSubject = "{s}";
  auto place = subject.empty() ? std::string::npos : text.find(subject);
  if (place == std::string::npos) {
    return {};
  }
  for (; place != std::string::npos; place = text.find(subject, place + kSubject.size())) {
    text.replace(place, subject.size(), kSubject);
  }
  return text;
}

} // namespace

void take_record(ImportSink& sink, const RecordPlace& place, const std::function<void()>& take) {
  sink.record(place);
  try {
    take();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt && error.code() != ErrorCode::kInvalidArgument) {
      throw;
    }
    const std::string reason = error.what();
    sink.skipped(reason.starts_with(place.where) ? reason : place.where + ": " + reason);
  }
}

void read_records(
    const std::filesystem::path& path,
    ImportSink& sink,
    const std::function<void(const JsonRecord& record)>& take) {
  if (first_character(path) == '{') {
    std::int64_t index = 0;
    read_json_lines(path, [&](const Json& value, std::int64_t line) {
      const RecordPlace place{concat(path.string(), ':', line)};
      take_record(sink, place, [&] { take({JsonFields(value, place.where), index}); });
      ++index;
    });
    return;
  }
  for (JsonElements elements(path); elements.next();) {
    const Json value = elements.value();
    const RecordPlace place{elements.where(), elements.place().byte};
    take_record(sink, place, [&] { take({JsonFields(value, place.where), elements.index()}); });
  }
}

void add_new(std::vector<std::string>& list, std::string text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) {
    list.push_back(std::move(text));
  }
}

std::string_view first_field(
    const JsonFields& fields, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (!fields.is_null(name)) {
      return name;
    }
  }
  return {};
}

std::vector<std::string> texts_of(
    const Json& value, const JsonFields& fields, std::string_view name) {
  std::vector<std::string> texts;
  collect_texts(value, fields, name, texts);
  return texts;
}

std::vector<std::string> names_of(
    const Json& value, const JsonFields& fields, std::string_view name) {
  std::vector<std::string> names;
  for (std::string& text : texts_of(value, fields, name)) {
    add_new(names, std::move(text));
  }
  return names;
}

std::vector<std::string> names_field(const JsonFields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  return value == nullptr ? std::vector<std::string>() : names_of(*value, fields, name);
}

std::vector<std::string> texts_field(const JsonFields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  return value == nullptr ? std::vector<std::string>() : texts_of(*value, fields, name);
}

std::string required_text(const JsonFields& fields, std::string_view name) {
  const std::vector<std::string> texts = texts_field(fields, name);
  ERRATA_CHECK(
      !texts.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is missing or empty; expected a text");
  return texts.front();
}

std::string id_field(const JsonFields& fields, std::string_view name, std::int64_t fallback) {
  return fields.is_null(name) ? std::to_string(fallback) : required_text(fields, name);
}

const Json* object_field(const JsonFields& fields, std::string_view name) {
  if (fields.is_null(name)) {
    return nullptr;
  }
  const Json* value = fields.find(name);
  ERRATA_CHECK(
      value->is_object(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is not an object");
  return value;
}

const Json& array_field(const JsonFields& fields, std::string_view name) {
  static const Json none = Json::array();
  if (fields.is_null(name)) {
    return none;
  }
  const Json& value = *fields.find(name);
  if (value.is_object() && value.empty()) {
    return none;
  }
  ERRATA_CHECK(
      value.is_array(), ErrorCode::kCorrupt, fields.where(), ": field '", name, "' is not a list");
  return value;
}

void add_probe(
    std::vector<Probe>& probes,
    const JsonFields& fields,
    std::string_view prompt,
    std::string_view answers,
    std::string_view kind,
    ImportSink& sink) {
  for (const std::string& text : texts_field(fields, prompt)) {
    std::vector<std::string> accepted = names_field(fields, answers);
    if (accepted.empty()) {
      sink.remark(concat(fields.where(), ": '", prompt, "' left out: '", answers, "' is empty"));
      continue;
    }
    probes.push_back({text, std::move(accepted), std::string(kind)});
  }
}

void add_portability(std::vector<Probe>& probes, const JsonFields& fields, ImportSink& sink) {
  if (const Json* portability = object_field(fields, "portability")) {
    const JsonFields question(*portability, fields.where() + ": field 'portability'");
    add_probe(probes, question, "New Question", "New Answer", "portability", sink);
  }
}

std::string fill_subject(
    const std::string& pattern, const std::string& subject, const JsonFields& fields) {
  const auto place = pattern.find("{}");
  ERRATA_CHECK(
      place != std::string::npos,
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'prompt' is '",
      pattern.substr(0, 40),
      "'; expected {} where the subject belongs");
  return std::string(pattern).replace(place, 2, subject);
}

void add_question(Relation& relation, const std::string& question, const std::string& subject) {
  std::string wording = template_of(question, subject);
  if (!wording.empty()) {
    add_new(relation.questions, std::move(wording));
  }
}

void add_opening(Relation& relation, const std::string& opening, const std::string& subject) {
  const std::string wording = template_of(opening, subject);
  if (!wording.empty()) {
    add_new(relation.statements, wording + " {o}.");
  }
}

} // namespace errata::datasets
