#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace errata::peft {

/// A directory that appears complete or not at all: filled beside its place, then renamed. Without
/// `commit` the destructor removes it and every parent that was created for it.
class StagedDirectory {
 public:
  /// Creates `<target>.partial-<pid>` and missing parents of `target`.
  explicit StagedDirectory(std::filesystem::path target);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  /// Where to write.
  const std::filesystem::path& path() const noexcept { return staging_; }

  /// Puts the directory in its place; an older one there is removed as a whole.
  void commit_replacing();
  /// Puts the directory in its place; in an older one there, files are replaced and others stay.
  /// `key_file` is what makes the directory valid: it goes first and comes back last.
  void commit_into(const std::string& key_file);
  /// Puts the file `name` alone into the place `target`, over an older one.
  void commit_file(const std::string& name, const std::filesystem::path& target);

 private:
  std::filesystem::path target_;
  std::filesystem::path staging_;
  std::vector<std::filesystem::path> created_parents_; ///< innermost first
};

} // namespace errata::peft
