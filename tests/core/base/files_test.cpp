#include "core/base/files.h"

#include "core/base/error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace errata {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("errata-files-" + std::to_string(::getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override {
    set_disk_limit_for_testing(-1);
    fs::remove_all(directory_);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }

  fs::path directory_;
};

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST_F(FilesTest, WritesAndReadsBack) {
  const std::string content("a\0b\n", 4);
  write_file(directory_ / "x", content);
  EXPECT_EQ(read_file(directory_ / "x"), content);
  EXPECT_EQ(files(), 1U);
}

TEST_F(FilesTest, WithoutCommitTheOldFileStays) {
  write_file(directory_ / "x", "old");
  {
    AtomicFile file(directory_ / "x");
    file.write("new and unfinished");
  }
  EXPECT_EQ(read_file(directory_ / "x"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FilesTest, AFullDiskLeavesNothingBehind) {
  write_file(directory_ / "x", "old");
  set_disk_limit_for_testing(10);
  EXPECT_EQ(code_of([&] { write_file(directory_ / "x", std::string(100, 'y')); }), ErrorCode::kIo);
  EXPECT_EQ(read_file(directory_ / "x"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FilesTest, NamesWhatIsMissingOrInTheWay) {
  EXPECT_EQ(code_of([&] { read_file(directory_ / "none"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(directory_); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([&] { write_file(directory_ / "none" / "x", "y"); }), ErrorCode::kIo);
  write_file(directory_ / "file", "");
  EXPECT_EQ(code_of([&] { make_directories(directory_ / "file"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([&] { require_directory(directory_ / "file"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([&] { require_directory(directory_ / "none"); }), ErrorCode::kNotFound);
}

TEST_F(FilesTest, MapsAFile) {
  write_file(directory_ / "x", "hello");
  const MappedFile file(directory_ / "x");
  ASSERT_EQ(file.bytes().size(), 5U);
  EXPECT_EQ(static_cast<char>(file.bytes()[4]), 'o');
  write_file(directory_ / "empty", "");
  EXPECT_TRUE(MappedFile(directory_ / "empty").bytes().empty());
}

TEST_F(FilesTest, OneProcessHoldsADirectory) {
  const DirectoryLock lock(directory_);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool refused = code_of([&] { DirectoryLock second(directory_); }) == ErrorCode::kIo;
    ::_exit(refused ? 7 : 8);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(FilesTest, TheLockEndsWithItsHolder) {
  { const DirectoryLock lock(directory_); }
  EXPECT_NO_THROW(DirectoryLock{directory_});
}

} // namespace
} // namespace errata
