#pragma once

// For .cpp files only: nlohmann/json costs about 2.6 s per file. Headers that must name a JSON
// value include <nlohmann/json_fwd.hpp>.

#include "core/base/error.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace errata {

using Json = nlohmann::json;
/// Keeps the order of insertion: for files that people read.
using OrderedJson = nlohmann::ordered_json;

/// Lists and objects nested more deeply than this are refused: what walks a value recursively must
/// not run out of stack.
inline constexpr int kDeepestJson = 256;

/// Parses one JSON document. Invalid text is `kCorrupt` and names `where` and the byte offset.
Json parse_json(std::string_view text, std::string_view where);

Json read_json(const std::filesystem::path& path);

/// Calls `visit(value, line_number)` for each non-empty line. `\r\n` and a BOM are accepted. Errors
/// name file and line.
void read_json_lines(
    const std::filesystem::path& path,
    const std::function<void(const Json& value, std::int64_t line)>& visit);

/// Two spaces of indentation and a final newline, written atomically.
void write_json(const std::filesystem::path& path, const OrderedJson& value);

/// A JSON object together with where it came from, so that a wrong field is named with its file.
///
///     const JsonFields config(read_json(path), path.string());
///     config.required<int>("hidden_size");
class JsonFields {
 public:
  /// Throws `kCorrupt` unless `value` is an object. Keeps references only.
  JsonFields(const Json& value, std::string where);

  bool has(std::string_view name) const;
  /// True when the field is missing or null.
  bool is_null(std::string_view name) const;
  const Json* find(std::string_view name) const;
  const Json& value() const noexcept { return *value_; }
  const std::string& where() const noexcept { return where_; }

  /// The field as `T`; missing, null or of another type is `kCorrupt`.
  template <typename T>
  T required(std::string_view name) const {
    const Json* field = find(name);
    ERRATA_CHECK(
        field != nullptr && !field->is_null(),
        ErrorCode::kCorrupt,
        where_,
        ": field '",
        name,
        "' is missing; expected ",
        type_name<T>());
    return convert<T>(*field, name);
  }

  /// The field as `T`, or `fallback` when it is missing or null; of another type is `kCorrupt`.
  template <typename T>
  T optional(std::string_view name, T fallback) const {
    const Json* field = find(name);
    return field == nullptr || field->is_null() ? std::move(fallback) : convert<T>(*field, name);
  }

  template <typename T>
  std::optional<T> maybe(std::string_view name) const {
    const Json* field = find(name);
    return field == nullptr || field->is_null() ? std::nullopt
                                                : std::optional<T>(convert<T>(*field, name));
  }

  /// Throws `kInvalidArgument` that names the first field not in `known`, and the nearest known
  /// one.
  void reject_unknown(std::initializer_list<std::string_view> known) const;

 private:
  template <typename T>
  static constexpr std::string_view type_name() {
    if constexpr (std::is_same_v<T, bool>) {
      return "true or false";
    } else if constexpr (std::is_integral_v<T>) {
      return "an integer";
    } else if constexpr (std::is_floating_point_v<T>) {
      return "a number";
    } else if constexpr (std::is_same_v<T, std::string>) {
      return "a string";
    } else {
      return "another type";
    }
  }

  template <typename T>
  T convert(const Json& field, std::string_view name) const {
    bool fits = true;
    if constexpr (std::is_same_v<T, bool>) {
      fits = field.is_boolean();
    } else if constexpr (std::is_integral_v<T>) {
      fits = field.is_number_integer();
    } else if constexpr (std::is_floating_point_v<T>) {
      fits = field.is_number();
    }
    if (fits) {
      try {
        return field.get<T>();
      } catch (const nlohmann::json::exception&) {
        fits = false;
      }
    }
    ERRATA_FAIL(
        ErrorCode::kCorrupt,
        where_,
        ": field '",
        name,
        "' is ",
        excerpt(field),
        "; expected ",
        type_name<T>());
  }

  static std::string excerpt(const Json& field);

  const Json* value_;
  std::string where_;
};

/// The entry of `known` with the smallest edit distance to `name`, empty when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

} // namespace errata
