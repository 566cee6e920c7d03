#include "core/base/json.h"

#include "core/base/did_you_mean.h"
#include "core/base/files.h"

#include <algorithm>
#include <fstream>
#include <numeric>

namespace errata {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// nlohmann's message starts with "[json.exception.parse_error.101] "; users need what follows.
std::string plain_reason(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const auto end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

// Brackets inside strings count too only where the text is no JSON anyway.
void require_shallow(std::string_view text, std::string_view where) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\' ? 1U : 0U;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ERRATA_CHECK(
          ++depth <= kDeepestJson,
          ErrorCode::kCorrupt,
          where,
          ": lists and objects are nested more than ",
          kDeepestJson,
          " deep at byte ",
          i);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

} // namespace

Json parse_json(std::string_view text, std::string_view where) {
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  require_shallow(text, where);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    ERRATA_FAIL(ErrorCode::kCorrupt, where, ": not valid JSON: ", plain_reason(error));
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

void read_json_lines(
    const std::filesystem::path& path,
    const std::function<void(const Json& value, std::int64_t line)>& visit) {
  require_file(path);
  std::ifstream in(path, std::ios::binary);
  ERRATA_CHECK(in.good(), ErrorCode::kIo, "cannot open ", path.string());
  std::string text;
  for (std::int64_t line = 1; std::getline(in, text); ++line) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    if (std::all_of(text.begin(), text.end(), is_space)) {
      continue;
    }
    visit(parse_json(text, concat(path.string(), ":", line)), line);
  }
  ERRATA_CHECK(!in.bad(), ErrorCode::kIo, "cannot read ", path.string());
}

void write_json(const std::filesystem::path& path, const OrderedJson& value) {
  write_file(path, value.dump(2) + '\n');
}

JsonFields::JsonFields(const Json& value, std::string where)
    : value_(&value), where_(std::move(where)) {
  ERRATA_CHECK(
      value.is_object(),
      ErrorCode::kCorrupt,
      where_,
      ": expected a JSON object, found ",
      excerpt(value));
}

bool JsonFields::has(std::string_view name) const {
  return find(name) != nullptr;
}

bool JsonFields::is_null(std::string_view name) const {
  const Json* field = find(name);
  return field == nullptr || field->is_null();
}

const Json* JsonFields::find(std::string_view name) const {
  const auto place = value_->find(name);
  return place == value_->end() ? nullptr : &*place;
}

void JsonFields::reject_unknown(std::initializer_list<std::string_view> known) const {
  for (const auto& item : value_->items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) {
      continue;
    }
    ERRATA_FAIL(
        ErrorCode::kInvalidArgument,
        where_,
        ": unknown field '",
        item.key(),
        "'",
        did_you_mean(item.key(), {known.begin(), known.end()}));
  }
}

std::string JsonFields::excerpt(const Json& field) {
  constexpr std::size_t kLongest = 40;
  const std::string text = field.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

} // namespace errata
