#include "datasets/importers/json_elements.h"

#include "core/base/files.h"

namespace errata::datasets {
namespace {

constexpr std::size_t kBufferSize = std::size_t{1} << 16;
constexpr std::size_t kLargestElement = std::size_t{1} << 26;

} // namespace

JsonElements::JsonElements(std::filesystem::path path, FilePlace start, Keep keep)
    : path_(std::move(path)), keep_(keep), whole_file_(start.byte == 0), place_(start) {
  require_file(path_);
  in_.open(path_, std::ios::binary);
  ERRATA_CHECK(in_.good(), ErrorCode::kIo, "cannot open ", path_.string());
  in_.seekg(start.byte);
  buffer_.resize(kBufferSize);
  if (whole_file_) {
    for (const char mark : {'\xEF', '\xBB', '\xBF'}) { // byte order mark
      if (peek() == static_cast<unsigned char>(mark)) {
        take();
      }
    }
  }
  skip_space();
  value_place_ = place_;
  const int opening = take();
  if (opening != '[' && opening != '{') {
    fail("expected a JSON list or object");
  }
  is_object_ = opening == '{';
}

std::string JsonElements::where() const {
  return concat(
      path_.string(),
      ':',
      value_place_.line,
      index_ < 0 ? std::string() : concat(" (record ", index_, ", byte ", value_place_.byte, ")"));
}

void JsonElements::fail(const char* what) const {
  ERRATA_FAIL(
      ErrorCode::kCorrupt, path_.string(), ':', place_.line, ": ", what, ", at byte ", place_.byte);
}

int JsonElements::peek() {
  if (position_ == filled_) {
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    filled_ = static_cast<std::size_t>(in_.gcount());
    position_ = 0;
    ERRATA_CHECK(!in_.bad(), ErrorCode::kIo, "cannot read ", path_.string());
    if (filled_ == 0) {
      return kEnd;
    }
  }
  return static_cast<unsigned char>(buffer_[position_]);
}

int JsonElements::take() {
  const int character = peek();
  if (character != kEnd) {
    ++position_;
    ++place_.byte;
    place_.line += character == '\n' ? 1 : 0;
  }
  return character;
}

void JsonElements::keep(int character) {
  if (keep_ == Keep::kText) {
    if (text_.size() == kLargestElement) {
      fail("an element is larger than 64 MiB; a bracket or a quotation mark may be missing");
    }
    text_ += static_cast<char>(character);
  }
}

void JsonElements::skip_space() {
  for (int next = peek(); next == ' ' || next == '\t' || next == '\n' || next == '\r';
       next = peek()) {
    take();
  }
}

// The opening quotation mark has been kept.
void JsonElements::read_string() {
  for (;;) {
    const int character = take();
    if (character == kEnd) {
      fail("the file ends inside a string");
    }
    keep(character);
    if (character == '"') {
      return;
    }
    if (character == '\\') {
      if (peek() == kEnd) {
        fail("the file ends inside a string");
      }
      keep(take());
    }
  }
}

// The opening bracket has been kept. Whether brackets match in kind is for the parser to say.
void JsonElements::read_container() {
  for (int depth = 1; depth > 0;) {
    const int character = take();
    if (character == kEnd) {
      fail("the file ends inside a list or an object");
    }
    keep(character);
    if (character == '"') {
      read_string();
    } else if (character == '[' || character == '{') {
      if (++depth > kDeepestJson) {
        fail("lists and objects are nested too deeply");
      }
    } else if (character == ']' || character == '}') {
      --depth;
    }
  }
}

void JsonElements::read_value() {
  text_.clear();
  value_place_ = place_;
  const int first = peek();
  is_container_ = first == '[' || first == '{';
  if (first == kEnd || first == ',' || first == ']' || first == '}' || first == ':') {
    fail("a value is missing");
  }
  keep(take());
  if (is_container_) {
    read_container();
  } else if (first == '"') {
    read_string();
  } else {
    for (int next = peek(); next != kEnd && next != ',' && next != ']' && next != '}' &&
                            next != ' ' && next != '\t' && next != '\n' && next != '\r';
         next = peek()) {
      keep(take());
    }
  }
}

void JsonElements::read_key() {
  if (peek() != '"') {
    fail("expected a name in quotation marks");
  }
  const Keep keep_value = std::exchange(keep_, Keep::kText);
  text_.clear();
  value_place_ = place_;
  keep(take());
  read_string();
  keep_ = keep_value;
  key_ = parse_json(text_, where()).get<std::string>();
  skip_space();
  if (take() != ':') {
    fail("expected a colon after a name");
  }
  skip_space();
}

bool JsonElements::next() {
  if (finished_) {
    return false;
  }
  skip_space();
  const int closing = is_object_ ? '}' : ']';
  if (peek() == closing) {
    take();
    finished_ = true;
    check_rest();
    return false;
  }
  if (index_ >= 0) {
    if (take() != ',') {
      fail(peek() == kEnd ? "the file ends before its last bracket" : "expected a comma");
    }
    skip_space();
  }
  ++index_;
  if (is_object_) {
    read_key();
  }
  read_value();
  return true;
}

void JsonElements::check_rest() {
  if (whole_file_) {
    skip_space();
    if (peek() != kEnd) {
      fail("text after the end of the document");
    }
  }
}

} // namespace errata::datasets
