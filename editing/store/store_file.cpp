#include "editing/store/store_file.h"

#include "core/base/error.h"
#include "core/base/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace errata::editing {
namespace {

namespace fs = std::filesystem;

void remove_store(const fs::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(path.string() + suffix, ignored);
  }
}

void require_free(const fs::path& path) {
  std::error_code ignored;
  ERRATA_CHECK(
      !fs::exists(fs::symlink_status(path, ignored)),
      ErrorCode::kInvalidArgument,
      path.string(),
      " exists; expected the name of a new store");
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor); // some file systems refuse it; the rename has been done all the same
    ::close(descriptor);
  }
}

// link() fails where rename() would replace a store that another process has made meanwhile.
void put_in_place(const fs::path& partial, const fs::path& path) {
  if (::link(partial.c_str(), path.c_str()) == 0) {
    ::unlink(partial.c_str());
    return;
  }
  if (errno == EEXIST) {
    require_free(path);
  }
  // Some file systems have no hard links.
  ERRATA_CHECK(
      ::rename(partial.c_str(), path.c_str()) == 0,
      ErrorCode::kIo,
      "cannot put ",
      path.string(),
      " in place: ",
      std::strerror(errno));
}

} // namespace

void limit_pages(Database& database, std::int64_t pages) {
  if (pages > 0) {
    database.integer(concat("PRAGMA max_page_count = ", pages));
  }
}

void make_store_file(
    const fs::path& path, const StoreOptions& options, const std::function<void(Database&)>& fill) {
  require_free(path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  require_directory(folder, "folder for the store");
  const fs::path partial = concat(path.string(), ".partial-", ::getpid());
  remove_store(partial); // of a process that was killed and had this number
  try {
    {
      Database database(
          partial,
          SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
          options.busy_timeout_ms,
          options.durable);
      limit_pages(database, options.max_pages);
      fill(database);
    } // closing brings the log into the file
    put_in_place(partial, path);
  } catch (...) {
    remove_store(partial);
    throw;
  }
  sync_folder(folder);
}

} // namespace errata::editing
