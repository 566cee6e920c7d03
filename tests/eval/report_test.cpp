#include "eval/report.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/eval/eval_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

TEST(ReportTest, EscapesHtml) {
  EXPECT_EQ(
      escape_html("<b a=\"1\" b='2'>&amp;"), "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;");
}

TEST(ReportTest, ScriptCannotBeLeft) {
  const std::string json = script_json({{"a", "</script><!--"}});
  EXPECT_EQ(json.find('<'), std::string::npos);
  EXPECT_EQ(Json::parse(json).at("a"), "</script><!--");
}

TEST(ReportTest, OnePageWithoutTheNetwork) {
  const testing_support::TemporaryDirectory directory;
  eval_testing::Script script;
  const std::string attack = "<img src=x onerror=alert(1)>";
  script.add(Part::kReliability, attack, "old", "new");
  script.add_case("case", 0, "old", attack).kind = "last";
  script.add(Part::kKept, "kept", "new", "</script>").kind = "same_relation";
  write_results(directory / "run", script.judged(), {{"model", attack}});
  const std::string html = read_file(directory / "run" / "report.html");
  EXPECT_EQ(html.find(attack), std::string::npos);
  EXPECT_NE(html.find(escape_html(attack)), std::string::npos);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.find("<link"), std::string::npos);
  EXPECT_NE(html.find("Chart.js v"), std::string::npos);
  EXPECT_NE(html.find("Gained: wrong before, right after (1)"), std::string::npos);
  EXPECT_NE(html.find("Lost: right before, wrong after (1)"), std::string::npos);
  EXPECT_NE(html.find("Compare before with after in a row"), std::string::npos);
  std::size_t scripts = 0;
  for (std::size_t at = html.find("</script>"); at != std::string::npos;
       at = html.find("</script>", at + 1)) {
    ++scripts;
  }
  EXPECT_EQ(scripts, 3u);
}

TEST(ReportTest, IsMadeAgainFromTheRunDirectory) {
  const testing_support::TemporaryDirectory directory;
  eval_testing::Script script;
  script.add(Part::kReliability, "a", "old", "new");
  write_results(directory / "run", script.judged(), {{"model", "m"}});
  const std::string first = read_file(directory / "run" / "report.html");
  std::filesystem::remove(directory / "run" / "report.html");
  write_report(directory / "run");
  EXPECT_EQ(read_file(directory / "run" / "report.html"), first);
}

TEST(ReportTest, NamesWhatIsMissingOrDamaged) {
  const testing_support::TemporaryDirectory directory;
  testing_support::expect_error(
      ErrorCode::kNotFound, {"results.json"}, [&] { write_report(directory.path()); });
  write_file(directory / "results.json", "{\"other\": 1}\n");
  testing_support::expect_error(
      ErrorCode::kCorrupt, {"results.json"}, [&] { write_report(directory.path()); });
}

} // namespace
} // namespace errata::eval
