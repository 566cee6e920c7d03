#include "cli/text_stream.h"

#include <gtest/gtest.h>

#include <sstream>

namespace errata::cli {
namespace {

TEST(TextStreamTest, ShowsWhatIsNewAndHoldsBackHalfCharacters) {
  std::ostringstream out;
  TextStream stream(out, 0);
  stream.show("ab");
  EXPECT_EQ(out.str(), "ab");
  stream.show("ab caf\xEF\xBF\xBD");
  EXPECT_EQ(out.str(), "ab caf");
  stream.show("ab caf\xC3\xA9");
  EXPECT_EQ(out.str(), "ab caf\xC3\xA9");
  stream.finish("ab caf\xC3\xA9!");
  EXPECT_EQ(out.str(), "ab caf\xC3\xA9!\n");
}

TEST(TextStreamTest, NeverShowsTheBeginningOfAStopString) {
  std::ostringstream out;
  TextStream stream(out, 4); // "STOP"
  for (const char* text : {"go", "go on ", "go on \xC3\xA9S", "go on \xC3\xA9STO"}) {
    stream.show(text);
    EXPECT_EQ(out.str().find('S'), std::string::npos) << text;
    EXPECT_NE(out.str().size(), std::string("go on ").size() + 1) << "half a character";
  }
  stream.finish("go on \xC3\xA9");
  EXPECT_EQ(out.str(), "go on \xC3\xA9\n");
}

} // namespace
} // namespace errata::cli
