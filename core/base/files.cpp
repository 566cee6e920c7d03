#include "core/base/files.h"

#include "core/base/error.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace errata {
namespace {

namespace fs = std::filesystem;

std::int64_t limit_from_environment() {
  const char* text = std::getenv("ERRATA_TEST_DISK_LIMIT");
  return text == nullptr ? -1 : std::atoll(text);
}

std::atomic<std::int64_t>& disk_limit() {
  static std::atomic<std::int64_t> limit{limit_from_environment()};
  return limit;
}

std::string reason(int error) {
  return std::strerror(error);
}

// A rename is durable only once its directory is on disk.
void sync_directory(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

} // namespace

void set_disk_limit_for_testing(std::int64_t bytes) noexcept {
  disk_limit() = bytes;
}

void require_file(const fs::path& path, std::string_view what) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  ERRATA_CHECK(
      fs::exists(status), ErrorCode::kNotFound, what, " ", path.string(), " does not exist");
  ERRATA_CHECK(
      !fs::is_directory(status),
      ErrorCode::kCorrupt,
      what,
      " ",
      path.string(),
      " is a directory; expected a file");
}

void require_directory(const fs::path& path, std::string_view what) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  ERRATA_CHECK(
      fs::exists(status), ErrorCode::kNotFound, what, " ", path.string(), " does not exist");
  ERRATA_CHECK(
      fs::is_directory(status),
      ErrorCode::kCorrupt,
      what,
      " ",
      path.string(),
      " is a file; expected a directory");
}

std::string read_file(const fs::path& path) {
  require_file(path);
  std::ifstream in(path, std::ios::binary);
  ERRATA_CHECK(in.good(), ErrorCode::kIo, "cannot open ", path.string(), ": ", reason(errno));
  std::ostringstream content;
  content << in.rdbuf();
  ERRATA_CHECK(!in.bad(), ErrorCode::kIo, "cannot read ", path.string());
  return std::move(content).str();
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  partial_ = path_;
  partial_ += concat(".partial-", ::getpid());
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ERRATA_CHECK(
      descriptor_ >= 0, ErrorCode::kIo, "cannot write ", path_.string(), ": ", reason(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(partial_.c_str());
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (disk_limit() >= 0) {
    const std::int64_t left = disk_limit() -= static_cast<std::int64_t>(bytes.size());
    if (left < 0) {
      disk_limit() = 0;
      ERRATA_FAIL(ErrorCode::kIo, "cannot write ", path_.string(), ": ", reason(ENOSPC));
    }
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    ERRATA_CHECK(
        written >= 0, ErrorCode::kIo, "cannot write ", path_.string(), ": ", reason(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  ERRATA_CHECK(
      ::fsync(descriptor_) == 0,
      ErrorCode::kIo,
      "cannot write ",
      path_.string(),
      ": ",
      reason(errno));
  ::close(std::exchange(descriptor_, -1));
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(partial_.c_str());
    ERRATA_FAIL(ErrorCode::kIo, "cannot write ", path_.string(), ": ", reason(error));
  }
  sync_directory(parent_of(path_));
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  const bool blocked = error == std::errc::not_a_directory || error == std::errc::file_exists;
  ERRATA_CHECK(
      !error && fs::is_directory(path),
      blocked || !error ? ErrorCode::kCorrupt : ErrorCode::kIo,
      "cannot create directory ",
      path.string(),
      ": ",
      error ? error.message() : "a file is in the way");
}

DirectoryLock::DirectoryLock(const fs::path& directory) {
  const fs::path path = directory / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ERRATA_CHECK(
      descriptor_ >= 0, ErrorCode::kIo, "cannot lock ", directory.string(), ": ", reason(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(descriptor_, -1));
    ERRATA_FAIL(
        ErrorCode::kIo,
        directory.string(),
        " is in use by another errata process; wait for it or choose another --out");
  }
}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

MappedFile::MappedFile(const fs::path& path, Mapping mapping) : path_(path) {
  require_file(path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ERRATA_CHECK(descriptor >= 0, ErrorCode::kIo, "cannot open ", path.string(), ": ", reason(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  const auto size = static_cast<std::size_t>(known ? status.st_size : 0);
  void* address = MAP_FAILED;
  if (known && size > 0) {
    // NORESERVE: a file larger than the memory may be mapped; few of its pages will be written.
    const bool copy = mapping == Mapping::kCopyOnWrite;
    address = ::mmap(
        nullptr,
        size,
        copy ? PROT_READ | PROT_WRITE : PROT_READ,
        copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED,
        descriptor,
        0);
  }
  const int error = errno;
  ::close(descriptor);
  ERRATA_CHECK(known, ErrorCode::kIo, "cannot read ", path.string(), ": ", reason(error));
  if (size > 0) {
    ERRATA_CHECK(
        address != MAP_FAILED, ErrorCode::kIo, "cannot map ", path.string(), ": ", reason(error));
    bytes_ = {static_cast<const std::byte*>(address), size};
  }
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

} // namespace errata
