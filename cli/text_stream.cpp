#include "cli/text_stream.h"

#include "core/utf8.h"

#include <algorithm>

namespace errata::cli {

TextStream::TextStream(std::ostream& out, std::size_t longest_stop)
    : out_(out), held_back_(longest_stop > 0 ? longest_stop - 1 : 0) {}

void TextStream::show(std::string_view text) {
  std::size_t end = text.size();
  const std::string_view unfinished = kReplacementCharacter;
  while (text.substr(0, end).ends_with(unfinished)) {
    end -= unfinished.size();
  }
  end -= std::min(end, held_back_);
  // Not within a character.
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  print_up_to(text, end);
}

void TextStream::finish(std::string_view text) {
  print_up_to(text, text.size());
  out_ << '\n' << std::flush;
}

void TextStream::print_up_to(std::string_view text, std::size_t end) {
  if (end > shown_) {
    out_ << text.substr(shown_, end - shown_) << std::flush;
    shown_ = end;
  }
}

} // namespace errata::cli
