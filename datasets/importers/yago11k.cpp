#include "core/base/error.h"
#include "core/base/files.h"
#include "datasets/field_reader.h"
#include "datasets/importers/import_readers.h"
#include "datasets/importers/intervals.h"
#include "datasets/importers/record_reader.h"
#include "datasets/importers/text_lines.h"

#include <algorithm>
#include <unordered_map>

// YAGO11k and other temporal knowledge graphs: head, relation, tail, start, end with tabs between
// them. Numbers are looked up in entity2id and relation2id files, names stand for themselves.

namespace errata::datasets {
namespace {

using Names = std::unordered_map<std::string, std::string>;

std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (auto tab = line.find('\t'); tab != std::string::npos; tab = line.find('\t', start)) {
    parts.push_back(line.substr(start, tab - start));
    start = tab + 1;
  }
  parts.push_back(line.substr(start));
  return parts;
}

/// `<Athletic_Park_(Vancouver)>` -> `Athletic Park (Vancouver)`
std::string plain_name(std::string name, bool with_spaces) {
  if (name.size() > 2 && name.front() == '<' && name.back() == '>') {
    name = name.substr(1, name.size() - 2);
  }
  if (with_spaces) {
    std::replace(name.begin(), name.end(), '_', ' ');
  }
  return name;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

Names read_names(const std::filesystem::path& path, bool with_spaces) {
  Names names;
  for (TextLines lines(path); lines.next();) {
    const auto parts = split_tabs(lines.text());
    if (parts.size() < 2) {
      continue; // some of these files begin with their number of lines
    }
    ERRATA_CHECK(
        !parts[0].empty() && is_number(parts[1]),
        ErrorCode::kCorrupt,
        lines.where(),
        ": expected a name, a tab and a number");
    ERRATA_CHECK(
        names.emplace(parts[1], plain_name(parts[0], with_spaces)).second,
        ErrorCode::kCorrupt,
        lines.where(),
        ": number ",
        parts[1],
        " has a name already");
  }
  return names;
}

// `yago_train.txt` has its names in `yago_entity2id.txt`, `train.txt` in `entity2id.txt`.
std::filesystem::path beside(const std::filesystem::path& path, const std::string& name) {
  const std::string stem = path.stem().string();
  const auto line = stem.rfind('_');
  const auto prefixed =
      path.parent_path() / (line == std::string::npos ? name : stem.substr(0, line + 1) + name);
  std::error_code ignored;
  return std::filesystem::exists(prefixed, ignored) ? prefixed : path.parent_path() / name;
}

/// `1986-##-##`, `360-##-##`; `####-##-##` is unknown.
std::optional<Date> quadruple_date(std::string text, const std::string& where) {
  while (text.ends_with("-##")) {
    text.resize(text.size() - 3);
  }
  if (text.empty() || text.find_first_not_of('#') == std::string::npos) {
    return std::nullopt;
  }
  ERRATA_CHECK(
      text.front() != '-',
      ErrorCode::kCorrupt,
      where,
      ": the year ",
      text.substr(0, 20),
      " lies before the year 1; dates begin there");
  const auto dash = text.find('-');
  const std::size_t digits = dash == std::string::npos ? text.size() : dash;
  const auto date = try_parse_date(std::string(digits < 4 ? 4 - digits : 0, '0') + text);
  ERRATA_CHECK(
      date.has_value(), ErrorCode::kCorrupt, where, ": '", text.substr(0, 20), "' is not a date");
  return date;
}

std::string name_of(
    const std::string& text,
    const Names& names,
    const char* what,
    bool with_spaces,
    const std::string& where) {
  const auto found = names.find(text);
  ERRATA_CHECK(
      !is_number(text) || found != names.end(),
      ErrorCode::kCorrupt,
      where,
      ": ",
      what,
      " ",
      text,
      " has no name");
  std::string name = is_number(text) ? found->second : plain_name(text, with_spaces);
  ERRATA_CHECK(
      !is_blank(name), ErrorCode::kCorrupt, where, ": the name of the ", what, " is empty");
  return name;
}

} // namespace

void import_yago11k(const ImportOptions& options, ImportSink& sink) {
  require_file(options.path);
  // A file that is given must be there; one that may lie beside need not, where names stand.
  const auto names = [&](const std::filesystem::path& given, const char* name, bool with_spaces) {
    const auto file = given.empty() ? beside(options.path, name) : given;
    std::error_code ignored;
    const bool wanted = !given.empty() || std::filesystem::exists(file, ignored);
    return wanted ? read_names(file, with_spaces) : Names();
  };
  const Names entities = names(options.entities, "entity2id.txt", true);
  const Names relations = names(options.relations, "relation2id.txt", false);
  for (TextLines lines(options.path); lines.next();) {
    if (lines.text().empty()) {
      continue;
    }
    const RecordPlace place{lines.where(), lines.byte()};
    take_record(sink, place, [&] {
      const auto parts = split_tabs(lines.text());
      ERRATA_CHECK(
          parts.size() == 5,
          ErrorCode::kCorrupt,
          place.where,
          ": ",
          parts.size(),
          " columns; expected head, relation, tail, start and end with tabs between them");
      Fact fact;
      fact.subject = name_of(parts[0], entities, "head", true, place.where);
      fact.relation = name_of(parts[1], relations, "relation", false, place.where);
      fact.object = name_of(parts[2], entities, "tail", true, place.where);
      fact.valid_from = quadruple_date(parts[3], place.where);
      fact.valid_to =
          end_of_interval(fact.valid_from, quadruple_date(parts[4], place.where), place.where);
      fact.source = options.path.filename().string();
      Relation relation;
      relation.name = fact.relation;
      relation.functional = false; // the graph says nothing about it
      sink.wordings(relation);
      sink.fact(fact, MissingEnd::kNotStated);
    });
  }
}

} // namespace errata::datasets
