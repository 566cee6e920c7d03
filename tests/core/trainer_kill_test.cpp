#include "core/base/files.h"
#include "tests/core/trainer_support.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace errata {
namespace {

constexpr const char* kWorkerVariable = "ERRATA_TEST_TRAINING_DIRECTORY";
constexpr const char* kWorkerFilter = "--gtest_filter=TrainerKillTest.Worker";

TrainOptions long_options(const std::filesystem::path& directory) {
  TrainOptions options = testing_support::disturbed_options(directory);
  options.steps = 150;
  options.checkpoint.every_steps = 1; // so that many kills fall into the writing of a state
  return options;
}

class TrainerKillTest : public testing_support::SeedingTest {};

// Not a test of its own: the process that TrainerKillTest.ResumesAfterSigkill kills.
TEST_F(TrainerKillTest, Worker) {
  const char* directory = std::getenv(kWorkerVariable);
  if (directory == nullptr) {
    GTEST_SKIP() << "runs as a child of ResumesAfterSigkill only";
  }
  const std::string result = testing_support::train_to_end(long_options(directory));
  write_file(std::filesystem::path(directory) / "digest.txt", result);
}

pid_t start_worker(const std::filesystem::path& directory) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv(kWorkerVariable, directory.c_str(), 1);
    ::execl("/proc/self/exe", "worker", kWorkerFilter, "--gtest_brief=1", nullptr);
    ::_exit(127);
  }
  return child;
}

bool exited(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, WNOHANG) == child;
}

TEST_F(TrainerKillTest, ResumesAfterSigkill) {
  if (std::getenv(kWorkerVariable) != nullptr) {
    GTEST_SKIP() << "this is the child";
  }
  const testing_support::TemporaryDirectory directory;
  const std::filesystem::path state = directory / "state.safetensors";
  const std::filesystem::path done = directory / "digest.txt";
  int kills = 0;
  for (int attempt = 0; attempt < 20 && !std::filesystem::exists(done); ++attempt) {
    const pid_t child = start_worker(directory.path());
    // The first kill waits for the first state; later ones come 40, 80, ... ms after the child has
    // moved on, at any place in a step or a write.
    const auto before = std::filesystem::exists(state) ? std::filesystem::last_write_time(state)
                                                       : std::filesystem::file_time_type::min();
    bool over = false;
    while (!(over = exited(child)) &&
           (!std::filesystem::exists(state) || std::filesystem::last_write_time(state) == before)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (kills < 4 && !over) {
      std::this_thread::sleep_for(std::chrono::milliseconds(40 * kills + 7));
      ::kill(child, SIGKILL);
      ++kills;
    }
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  ASSERT_TRUE(std::filesystem::exists(done));
  EXPECT_GE(kills, 2);
  EXPECT_EQ(read_file(done), testing_support::train_to_end(long_options({})));
}

} // namespace
} // namespace errata
