#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace errata::cli {

/// Shows a text while it grows. What may still change is held back: a character that is not whole
/// (U+FFFD at the end), and as many bytes as the beginning of a stop string could have.
class TextStream {
 public:
  /// `longest_stop`: bytes of the longest stop string, 0 without any.
  TextStream(std::ostream& out, std::size_t longest_stop);

  /// `text`: all of it so far, without a stop string.
  void show(std::string_view text);
  /// The whole text, which may be shorter than what came (it ended before a stop string).
  void finish(std::string_view text);

 private:
  void print_up_to(std::string_view text, std::size_t end);

  std::ostream& out_;
  std::size_t held_back_;
  std::size_t shown_ = 0;
};

} // namespace errata::cli
