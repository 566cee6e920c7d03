#include "datasets/field_reader.h"

#include "core/base/json.h"

namespace errata::datasets {

bool is_blank(std::string_view text) noexcept {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string text_field(const JsonFields& fields, std::string_view name) {
  auto text = fields.required<std::string>(name);
  ERRATA_CHECK(
      !text.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is empty; expected a text");
  return text;
}

std::string optional_text_field(const JsonFields& fields, std::string_view name) {
  return fields.optional<std::string>(name, {});
}

std::vector<std::string> list_field(const JsonFields& fields, std::string_view name) {
  std::vector<std::string> list;
  if (fields.is_null(name)) {
    return list;
  }
  const Json& value = *fields.find(name);
  const auto expect = [&](bool condition, const Json& found) {
    ERRATA_CHECK(
        condition,
        ErrorCode::kCorrupt,
        fields.where(),
        ": field '",
        name,
        "' has ",
        found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40),
        "; expected a list of non-empty strings");
  };
  expect(value.is_array(), value);
  for (const Json& element : value) {
    expect(element.is_string() && !element.get_ref<const std::string&>().empty(), element);
    list.push_back(element.get<std::string>());
  }
  return list;
}

std::optional<Date> date_field(const JsonFields& fields, std::string_view name) {
  const auto text = fields.maybe<std::string>(name);
  if (!text) {
    return std::nullopt;
  }
  const auto date = try_parse_date(*text);
  ERRATA_CHECK(
      date.has_value(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is '",
      text->substr(0, 40),
      "'; expected a date YYYY, YYYY-MM or YYYY-MM-DD");
  return date;
}

void read_field_lines(
    const std::filesystem::path& path,
    const std::function<void(const JsonFields& fields, std::int64_t line)>& visit) {
  read_json_lines(path, [&](const Json& value, std::int64_t line) {
    visit(JsonFields(value, concat(path.string(), ":", line)), line);
  });
}

void require_new_id(
    std::set<std::string>& seen,
    const std::filesystem::path& path,
    std::int64_t line,
    const std::string& id) {
  ERRATA_CHECK(
      seen.insert(id).second,
      ErrorCode::kCorrupt,
      path.string(),
      ':',
      line,
      ": id '",
      id.substr(0, 40),
      "' was used by an earlier line; ids must differ");
}

} // namespace errata::datasets
