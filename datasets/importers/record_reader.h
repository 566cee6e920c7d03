#pragma once

#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/importers/import_sink.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

// For .cpp files: what the readers of the field's JSON data sets share.

namespace errata::datasets {

/// One record of a file: its fields, and its number from 0, which is the id that peers give it.
struct JsonRecord {
  const JsonFields& fields;
  std::int64_t index;
};

/// Runs `take` for one record. What is wrong with the record alone (`kCorrupt`,
/// `kInvalidArgument`) leaves it out and goes to the sink.
void take_record(ImportSink& sink, const RecordPlace& place, const std::function<void()>& take);

/// Calls `take` for each record of a JSON list, or of a JSON lines file.
void read_records(
    const std::filesystem::path& path,
    ImportSink& sink,
    const std::function<void(const JsonRecord& record)>& take);

/// Adds the text to the list unless it is there already.
void add_new(std::vector<std::string>& list, std::string text);

/// The first of the fields that is there and not null; empty when there is none.
std::string_view first_field(
    const JsonFields& fields, std::initializer_list<std::string_view> names);

/// The texts of a value: a string or number, or a list of them, lists in lists too, in order. Blank
/// ones are left out. Another kind of value is `kCorrupt`.
std::vector<std::string> texts_of(
    const Json& value, const JsonFields& fields, std::string_view name);
/// The same without repetitions: answers and other names of one thing.
std::vector<std::string> names_of(
    const Json& value, const JsonFields& fields, std::string_view name);

/// As above for a field, empty when it is missing or null.
std::vector<std::string> texts_field(const JsonFields& fields, std::string_view name);
std::vector<std::string> names_field(const JsonFields& fields, std::string_view name);

/// A text of the field, be it given as a list; `kCorrupt` when there is none.
std::string required_text(const JsonFields& fields, std::string_view name);

/// An id that may be a number or a text; `fallback` when it is missing.
std::string id_field(const JsonFields& fields, std::string_view name, std::int64_t fallback);

/// An object inside the record; nothing when it is missing or null.
const Json* object_field(const JsonFields& fields, std::string_view name);

/// A list inside the record, empty when it is missing, null or `{}`.
const Json& array_field(const JsonFields& fields, std::string_view name);

/// Adds the field's prompt and the answers of the other one as a probe. Without a prompt nothing
/// happens; without an answer that is told to the sink.
void add_probe(
    std::vector<Probe>& probes,
    const JsonFields& fields,
    std::string_view prompt,
    std::string_view answers,
    std::string_view kind,
    ImportSink& sink);

/// The portability question that the authors of EasyEdit added to CounterFact and zsRE:
/// `portability {"New Question", "New Answer"}`.
void add_portability(std::vector<Probe>& probes, const JsonFields& fields, ImportSink& sink);

/// Replaces the first `{}`; `kCorrupt` where there is none.
std::string fill_subject(
    const std::string& pattern, const std::string& subject, const JsonFields& fields);

/// Adds a question about the subject, or the opening of a sentence that the object ends, to the
/// relation's wordings. One that does not name the subject says nothing about others.
void add_question(Relation& relation, const std::string& question, const std::string& subject);
void add_opening(Relation& relation, const std::string& opening, const std::string& subject);

} // namespace errata::datasets
