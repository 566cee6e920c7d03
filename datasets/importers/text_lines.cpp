#include "datasets/importers/text_lines.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <streambuf>

namespace errata::datasets {
namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 26;

// The JSON library knows what UTF-8 is, and says at which byte it is not.
void require_utf8(const std::string& text, const std::string& where) {
  try {
    (void)Json(text).dump();
  } catch (const nlohmann::json::exception& error) {
    const std::string reason = error.what();
    ERRATA_FAIL(ErrorCode::kCorrupt, where, ": not UTF-8: ", reason.substr(reason.find("] ") + 2));
  }
}

} // namespace

TextLines::TextLines(std::filesystem::path path) : path_(std::move(path)) {
  require_file(path_);
  in_.open(path_, std::ios::binary);
  ERRATA_CHECK(in_.good(), ErrorCode::kIo, "cannot open ", path_.string());
}

std::string TextLines::where() const {
  return concat(path_.string(), ':', line_);
}

bool TextLines::next() {
  text_.clear();
  std::streambuf& bytes = *in_.rdbuf();
  byte_ = next_byte_;
  int c = bytes.sbumpc();
  if (c == std::streambuf::traits_type::eof()) {
    return false;
  }
  ++line_;
  for (; c != std::streambuf::traits_type::eof() && c != '\n'; c = bytes.sbumpc()) {
    ERRATA_CHECK(
        text_.size() < kLongestLine, ErrorCode::kCorrupt, where(), ": a line of over 64 MiB");
    text_ += static_cast<char>(c);
  }
  next_byte_ += static_cast<std::int64_t>(text_.size()) + (c == '\n' ? 1 : 0);
  if (line_ == 1 && text_.starts_with("\xEF\xBB\xBF")) {
    text_.erase(0, 3);
  }
  if (text_.ends_with('\r')) {
    text_.pop_back();
  }
  require_utf8(text_, where());
  return true;
}

} // namespace errata::datasets
