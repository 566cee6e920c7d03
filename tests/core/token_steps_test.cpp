// The steps of tokenizer.json, one at a time; all of them together are judged in
// tests/interop/bpe_test.cpp.

#include "core/token_steps.h"

#include "core/base/json.h"
#include "core/utf8.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;
using Texts = std::vector<std::string>;

Texts cut(const char* step, const std::string& text, bool first = true) {
  Texts words;
  for (const TextPart& part : parse_pre_tokenizer(Json::parse(step), "test")({{text, first}})) {
    words.push_back(part.text);
  }
  return words;
}

std::string split(const char* behaviour) {
  return Json{
      {"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behaviour}, {"invert", false}}
      .dump();
}

TEST(TokenStepsTest, SplitsAsItsBehaviourSays) {
  const std::string text = "the-final--count-";
  EXPECT_EQ(
      cut(split("Isolated").c_str(), text), (Texts{"the", "-", "final", "-", "-", "count", "-"}));
  EXPECT_EQ(cut(split("Removed").c_str(), text), (Texts{"the", "final", "count"}));
  EXPECT_EQ(
      cut(split("MergedWithPrevious").c_str(), text), (Texts{"the-", "final-", "-", "count-"}));
  EXPECT_EQ(
      cut(split("MergedWithNext").c_str(), text), (Texts{"the", "-final", "-", "-count", "-"}));
  EXPECT_EQ(
      cut(split("Contiguous").c_str(), text), (Texts{"the", "-", "final", "--", "count", "-"}));
  EXPECT_EQ(
      cut(R"({"type":"Split","pattern":{"Regex":"[0-9]+"},"behavior":"Removed","invert":true})",
          "a12b3"),
      (Texts{"12", "3"}));
}

TEST(TokenStepsTest, ByteLevelShowsBytesAndCutsLikeGpt2) {
  EXPECT_EQ(
      cut(R"({"type":"ByteLevel","add_prefix_space":true})", "it's  é1"),
      (Texts{"\xC4\xA0it", "'s", "\xC4\xA0", "\xC4\xA0\xC3\x83\xC2\xA9", "1"}));
  EXPECT_EQ(
      cut(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})", "a b"),
      Texts{"a\xC4\xA0"
            "b"});
}

TEST(TokenStepsTest, MetaspacePutsASignWhereAWordBegins) {
  constexpr const char* kFirst =
      R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true})";
  EXPECT_EQ(cut(kFirst, "a bc"), (Texts{"_a", "_bc"}));
  EXPECT_EQ(cut(kFirst, "a bc", false), (Texts{"a", "_bc"}));
  EXPECT_EQ(cut(kFirst, " a"), Texts{"_a"});
  EXPECT_EQ(
      cut(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"never","split":false})",
          "a b"),
      Texts{"a_b"});
  EXPECT_EQ(cut(R"({"type":"Digits","individual_digits":true})", "a12"), (Texts{"a", "1", "2"}));
}

TEST(TokenStepsTest, Normalizers) {
  const auto normal = [](const char* step, const std::string& text) {
    return parse_normalizer(Json::parse(step), "test")(text);
  };
  EXPECT_EQ(normal(R"({"type":"NFC"})", "e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(normal(R"({"type":"NFD"})", "\xC3\xA9"), "e\xCC\x81");
  EXPECT_EQ(normal(R"({"type":"NFKC"})", "\xEF\xAC\x81"), "fi");
  EXPECT_EQ(
      normal(
          R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},
              {"type":"Replace","pattern":{"String":" "},"content":"_"}]})",
          "a b"),
      "_a_b");
  EXPECT_EQ(normal(R"({"type":"Prepend","prepend":"_"})", ""), "");
  EXPECT_EQ(normal(R"({"type":"Strip","strip_left":true,"strip_right":false})", " a "), "a ");
  EXPECT_EQ(normal("null", " a"), " a");
  EXPECT_EQ(normal(R"({"type":"NFC"})", std::string("a\0b", 3)), std::string("a\0b", 3));
}

std::string decoded(const char* step, const Texts& tokens) {
  std::string text;
  for (const std::string& part : parse_token_decoder(Json::parse(step), "test")(tokens)) {
    text += part;
  }
  return text;
}

TEST(TokenStepsTest, Decoders) {
  EXPECT_EQ(
      decoded(
          R"({"type":"ByteLevel"})",
          {"\xC4\xA0"
           "caf\xC3\x83",
           "\xC2\xA9"}),
      " caf\xC3\xA9");
  // Half a character, and a token that is no byte's.
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"\xC3\x83"}), "\xEF\xBF\xBD");
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"<\xE2\x82\xAC>"}), "<\xE2\x82\xAC>");
  EXPECT_EQ(
      decoded(R"({"type":"ByteFallback"})", {"a", "<0xC3>", "<0xA9>", "b"}),
      "a\xC3\xA9"
      "b");
  EXPECT_EQ(
      decoded(R"({"type":"ByteFallback"})", {"<0xC3>", "<0xC3>"}), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(
      decoded(
          R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},
              {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})",
          {"_a", "_b"}),
      "a b");
  EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"_"})", {"_a", "_b"}), "a b");
  EXPECT_EQ(decoded("null", {"a", "b"}), "a b");
}

TEST(TokenStepsTest, NamesWhatItDoesNotKnow) {
  const auto bad = [](ErrorCode code, const std::vector<std::string>& parts, const char* step) {
    expect_error(code, parts, [&] { parse_pre_tokenizer(Json::parse(step), "file"); });
  };
  bad(ErrorCode::kUnsupported,
      {"file", "'BertPreTokenizer'", "Metaspace"},
      R"({"type":"BertPreTokenizer"})");
  bad(ErrorCode::kUnsupported,
      {"file", "regular expression", "(a"},
      R"({"type":"Split","pattern":{"Regex":"(a"},"behavior":"Removed"})");
  bad(ErrorCode::kUnsupported,
      {"file", "'Sideways'", "Isolated"},
      R"({"type":"Split","pattern":{"String":"a"},"behavior":"Sideways"})");
  bad(ErrorCode::kCorrupt, {"file", "pattern"}, R"({"type":"Split","behavior":"Removed"})");
  bad(ErrorCode::kCorrupt,
      {"file", "String"},
      R"({"type":"Split","pattern":{"String":""},"behavior":"Removed"})");
  expect_error(ErrorCode::kUnsupported, {"'Lowercase'"}, [] {
    parse_normalizer(Json{{"type", "Lowercase"}}, "file");
  });
  expect_error(ErrorCode::kUnsupported, {"'WordPiece'"}, [] {
    parse_token_decoder(Json{{"type", "WordPiece"}}, "file");
  });
}

TEST(Utf8Test, OuterSpaceIsWhatPythonStrips) {
  // Each of Python's white space on both sides, U+001C to U+001F among it; U+200B is none.
  const std::string spaces =
      "\t\n\v\f\r\x1C\x1D\x1E\x1F \xC2\x85\xC2\xA0\xE1\x9A\x80\xE2\x80\x80\xE2\x80\xA8\xE2\x80\xA9"
      "\xE2\x80\xAF\xE2\x81\x9F\xE3\x80\x80";
  EXPECT_EQ(without_outer_space(spaces + "a b" + spaces), "a b");
  EXPECT_EQ(without_outer_space(spaces), "");
  EXPECT_EQ(without_outer_space(""), "");
  EXPECT_EQ(without_outer_space(" \xE2\x80\x8B "), "\xE2\x80\x8B");
  EXPECT_EQ(without_outer_space(" \xFF\xA0 "), "\xFF\xA0"); // no characters, so no white space
}

TEST(Utf8Test, ReplacesWhatIsNoCharacter) {
  EXPECT_EQ(to_utf8("a\xC3\xA9"), "a\xC3\xA9");
  EXPECT_EQ(to_utf8("\xE2\x82"), "\xEF\xBF\xBD");             // broken off: one
  EXPECT_EQ(to_utf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD"); // never valid: one each
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); // a surrogate
  EXPECT_EQ(to_utf8("\xF0\x9F\x98x"), "\xEF\xBF\xBDx");
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));
  EXPECT_TRUE(is_utf8("\xF4\x8F\xBF\xBF"));
}

} // namespace
} // namespace errata
