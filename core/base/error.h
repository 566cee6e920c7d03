#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace errata {

/// What kind of failure an `Error` reports: one kind per thing a caller can do about it.
enum class ErrorCode {
  kInvalidArgument, ///< a usage mistake or a value out of range: exit 2
  kNotFound,        ///< a file or name that does not exist: exit 3
  kIo,              ///< reading or writing failed: exit 3
  kCorrupt,         ///< damaged or contradictory input: exit 4
  kUnsupported,     ///< well-formed, but not something this program handles: exit 5
  kInterrupted,     ///< stopped by the user, state kept: exit 130
  kInternal,        ///< a defect in this program: exit 1
};

std::string_view to_string(ErrorCode code) noexcept;

/// The process exit code that reports `code`.
int exit_code(ErrorCode code) noexcept;

/// The only exception this project throws itself. `what()` is one line: what, where (file, offset
/// or line, field), what was expected, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, const char* file = "", int line = 0);

  ErrorCode code() const noexcept { return code_; }
  /// Source file and line of the check, for the debug log.
  const char* file() const noexcept { return file_; }
  int line() const noexcept { return line_; }

 private:
  ErrorCode code_;
  const char* file_;
  int line_;
};

/// Concatenates its arguments with `operator<<`.
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

} // namespace errata

/// Throws `errata::Error(code, concat(...))` when `condition` is false.
#define ERRATA_CHECK(condition, code, ...)                                              \
  do {                                                                                  \
    if (!(condition)) [[unlikely]] {                                                    \
      throw ::errata::Error((code), ::errata::concat(__VA_ARGS__), __FILE__, __LINE__); \
    }                                                                                   \
  } while (false)

/// Throws `errata::Error(code, concat(...))`.
#define ERRATA_FAIL(code, ...) \
  throw ::errata::Error((code), ::errata::concat(__VA_ARGS__), __FILE__, __LINE__)
