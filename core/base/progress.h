#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace errata {

/// One report of a long operation.
struct Progress {
  std::string what;       ///< the operation: "training", "evaluating after"
  std::int64_t done = 0;  ///< units finished
  std::int64_t total = 0; ///< units in all; 0 when unknown
  std::string unit;       ///< "steps", "answers", "facts"
  std::string detail;     ///< free text for the end of the line: "loss 0.132"
};

/// The library reports through this; only the program draws. Throwing from it stops the operation.
using ProgressCallback = std::function<void(const Progress&)>;

/// Calls `callback` unless it is empty.
inline void report(const ProgressCallback& callback, const Progress& progress) {
  if (callback) {
    callback(progress);
  }
}

} // namespace errata
