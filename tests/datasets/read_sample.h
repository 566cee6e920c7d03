#pragma once

#include "core/base/files.h"
#include "tests/datasets/recording_sink.h"
#include "tests/support/temporary_directory.h"

#include <string>
#include <string_view>

namespace errata::testing_support {

using datasets::ImportOptions;

/// A sample of tests/datasets/samples.
inline RecordingSink read_sample(
    std::string_view format, const std::string& file, const std::string& mapping = {}) {
  ImportOptions options;
  options.path = sample(file);
  if (!mapping.empty()) {
    options.mapping = sample(mapping);
  }
  return read_format(format, options);
}

/// The text as a file, read in this format.
inline RecordingSink read_text(
    std::string_view format,
    const std::string& name,
    const std::string& text,
    const std::string& mapping = {}) {
  const TemporaryDirectory directory;
  ImportOptions options;
  options.path = directory / name;
  write_file(options.path, text);
  if (!mapping.empty()) {
    options.mapping = directory / "mapping.json";
    write_file(options.mapping, mapping);
  }
  return read_format(format, options);
}

} // namespace errata::testing_support
