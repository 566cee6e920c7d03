#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

namespace errata {

/// Whole content of a regular file. Throws `kNotFound`, `kCorrupt` (a directory), `kIo`.
std::string read_file(const std::filesystem::path& path);

/// Throws unless `path` is an existing regular file (`kNotFound`, `kCorrupt` for a directory).
void require_file(const std::filesystem::path& path, std::string_view what = "file");

/// Throws unless `path` is an existing directory (`kNotFound`, `kCorrupt` for a file).
void require_directory(const std::filesystem::path& path, std::string_view what = "directory");

/// A file that appears complete or not at all: written beside its place, then fsync and rename.
/// Without `commit()` the destructor removes what was written.
class AtomicFile {
 public:
  /// Creates `<path>.partial-<pid>` in the directory of `path`, which must exist.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Throws `kIo` that names the file and the system's reason ("No space left on device").
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Bytes written so far.
  std::uint64_t size() const noexcept { return size_; }
  /// Flushes to disk and puts the file in its place, over an older one.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// Writes `content` to `path` through an `AtomicFile`.
void write_file(const std::filesystem::path& path, std::string_view content);

/// `create_directories` with an `Error` (`kIo`, or `kCorrupt` where a file is in the way).
void make_directories(const std::filesystem::path& path);

/// Holds a directory for one process: an exclusive lock on `<directory>/.lock`, released by the
/// destructor or the end of the process. Throws `kIo` when another process holds it.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// What a write to mapped bytes does.
enum class Mapping {
  kReadOnly,    ///< the process dies: never write
  kCopyOnWrite, ///< the touched page becomes private to this process; the file never changes
};

/// A memory mapping of a whole file; pages nobody wrote to are shared with other processes.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path, Mapping mapping = Mapping::kReadOnly);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

/// For tests of a full disk: every `AtomicFile::write` past `bytes` in all fails with ENOSPC.
/// A negative limit takes it off. Also set once from ERRATA_TEST_DISK_LIMIT, so that a whole
/// program can be run against it.
void set_disk_limit_for_testing(std::int64_t bytes) noexcept;

} // namespace errata
