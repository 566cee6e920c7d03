#include "core/base/json.h"

#include "core/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace errata {
namespace {

using testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return concat(to_string(error.code()), ": ", error.what());
  }
  return "no error";
}

TEST(JsonTest, NamesFileAndOffsetOfInvalidText) {
  const std::string message = message_of([] { parse_json("{\"a\": }", "x.json"); });
  EXPECT_THAT(message, HasSubstr("corrupt data: x.json: not valid JSON"));
  EXPECT_THAT(message, HasSubstr("column 7"));
}

TEST(JsonTest, ReadsTypedFields) {
  const Json value = parse_json(R"({"n": 3, "x": 1.5, "s": "t", "b": true, "z": null})", "f");
  const JsonFields fields(value, "f");
  EXPECT_EQ(fields.required<int>("n"), 3);
  EXPECT_EQ(fields.required<double>("x"), 1.5);
  EXPECT_EQ(fields.required<std::string>("s"), "t");
  EXPECT_TRUE(fields.required<bool>("b"));
  EXPECT_EQ(fields.optional<int>("z", 9), 9);
  EXPECT_EQ(fields.optional<int>("missing", 9), 9);
  EXPECT_FALSE(fields.maybe<int>("z").has_value());
}

TEST(JsonTest, NamesTheFieldThatDoesNotFit) {
  const Json value = parse_json(R"({"n": "three"})", "f");
  const JsonFields fields(value, "f.json");
  EXPECT_EQ(
      message_of([&] { fields.required<int>("n"); }),
      "corrupt data: f.json: field 'n' is \"three\"; expected an integer");
  EXPECT_EQ(
      message_of([&] { fields.required<std::string>("m"); }),
      "corrupt data: f.json: field 'm' is missing; expected a string");
  EXPECT_THAT(
      message_of([] { JsonFields(Json::array(), "f.json"); }), HasSubstr("expected a JSON object"));
}

TEST(JsonTest, UnknownFieldNamesTheNearestKnownOne) {
  const Json value = parse_json(R"({"lerning_rate": 1})", "f");
  EXPECT_EQ(
      message_of([&] {
        JsonFields(value, "f").reject_unknown({"learning_rate", "steps"});
      }),
      "invalid argument: f: unknown field 'lerning_rate'; did you mean 'learning_rate'?");
}

TEST(JsonTest, LinesAcceptByteOrderMarkAndCarriageReturns) {
  const auto path =
      std::filesystem::temp_directory_path() / concat("errata-json-", ::getpid(), ".jsonl");
  write_file(path, "\xEF\xBB\xBF{\"a\":1}\r\n\r\n{\"a\":2}\n{bad}\n");
  std::vector<std::int64_t> lines;
  const std::string message = message_of([&] {
    read_json_lines(path, [&](const Json&, std::int64_t line) { lines.push_back(line); });
  });
  EXPECT_EQ(lines, (std::vector<std::int64_t>{1, 3}));
  EXPECT_THAT(message, HasSubstr(path.string() + ":4"));
  std::filesystem::remove(path);
}

TEST(JsonTest, NearestNameIgnoresWhatIsFar) {
  EXPECT_EQ(nearest_name("capitol", {"capital", "currency"}), "capital");
  EXPECT_EQ(nearest_name("zebra", {"capital", "currency"}), "");
}

} // namespace
} // namespace errata
