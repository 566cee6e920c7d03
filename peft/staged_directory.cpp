#include "peft/staged_directory.h"

#include "core/base/error.h"
#include "core/base/files.h"

#include <system_error>
#include <unistd.h>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// "out/" names the same directory as "out", but has no file name to build on.
fs::path without_trailing_slash(fs::path path) {
  path = fs::absolute(path).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void rename_to(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  ERRATA_CHECK(!error, ErrorCode::kIo, "cannot write ", to.string(), ": ", error.message());
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  ERRATA_CHECK(!error, ErrorCode::kIo, "cannot remove ", path.string(), ": ", error.message());
}

} // namespace

StagedDirectory::StagedDirectory(fs::path target)
    : target_(without_trailing_slash(std::move(target))), staging_(target_) {
  ERRATA_CHECK(
      !fs::exists(target_) || fs::is_directory(target_),
      ErrorCode::kCorrupt,
      "cannot write directory ",
      target_.string(),
      ": a file is in the way");
  staging_ += concat(".partial-", ::getpid());
  for (fs::path parent = target_.parent_path(); !fs::exists(parent);
       parent = parent.parent_path()) {
    created_parents_.push_back(parent);
  }
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  make_directories(staging_);
}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  for (const fs::path& parent : created_parents_) {
    fs::remove(parent, ignored);
  }
}

void StagedDirectory::commit_replacing() {
  fs::path old;
  if (fs::exists(target_)) {
    old = target_;
    old += concat(".old-", ::getpid());
    remove_tree(old);
    rename_to(target_, old);
  }
  rename_to(staging_, target_);
  created_parents_.clear();
  if (!old.empty()) {
    remove_tree(old);
  }
}

void StagedDirectory::commit_into(const std::string& key_file) {
  if (!fs::exists(target_)) {
    rename_to(staging_, target_);
    created_parents_.clear();
    return;
  }
  remove_tree(target_ / key_file);
  for (const auto& entry : fs::directory_iterator(staging_)) {
    if (entry.path().filename() != key_file) {
      rename_to(entry.path(), target_ / entry.path().filename());
    }
  }
  rename_to(staging_ / key_file, target_ / key_file);
}

void StagedDirectory::commit_file(const std::string& name, const fs::path& target) {
  rename_to(staging_ / name, target);
  created_parents_.clear();
}

} // namespace errata::peft
