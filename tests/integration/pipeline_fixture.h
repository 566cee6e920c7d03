#pragma once

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/random.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>

namespace errata::testing_support {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The program as its users run it: a store of an invented world and a miniature model pre-trained
/// on it, made once for all tests of a suite.
class PipelineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    make_store("w.db", "world", 20);
    must_run(pretrain("model"));
  }
  static void TearDownTestSuite() { directory_.reset(); }

  static void make_store(
      const std::string& store,
      const std::string& world,
      int lighthouses,
      const std::vector<std::string>& days = {"2021-03-14"}) {
    write_tiny_world(path(world), lighthouses, days);
    must_run({"store", "init", "--store", path(store)});
    must_run(
        {"store",
         "import",
         "--store",
         path(store),
         "--format",
         "facts",
         path(world + "/facts.jsonl"),
         "--relations",
         path(world + "/relations.json")});
    must_run(
        {"store",
         "import",
         "--store",
         path(store),
         "--format",
         "multihop",
         path(world + "/multihop.jsonl")});
  }

  static std::string path(const std::string& name) { return (*directory_ / name).string(); }

  static Finished run(const std::vector<std::string>& arguments) {
    return run_program(directory_->path(), arguments);
  }

  static void must_run(const std::vector<std::string>& arguments) {
    const Finished result = run(arguments);
    ASSERT_EQ(result.code, 0) << result.err;
  }

  // A small run into `out`; an option of `more` replaces the one here.
  static std::vector<std::string> edit(
      const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"edit-batch",  "--model",
                                          path("model"), "--store",
                                          path("w.db"),  "--from",
                                          "2020-01-01",  "--to",
                                          "2022-01-01",  "--out",
                                          path(out),     "--steps",
                                          "60",          "--batch-tokens",
                                          "400",         "--rank",
                                          "4",           "--threads",
                                          "1",           "--progress",
                                          "none",        "--checkpoint-every",
                                          "0.01"};
    for (std::size_t i = 0; i < more.size(); ++i) {
      const auto given = std::find(arguments.begin(), arguments.end(), more[i]);
      if (more[i].starts_with("--") && given != arguments.end()) {
        *(given + 1) = more[++i];
      } else {
        arguments.push_back(more[i]);
      }
    }
    return arguments;
  }

  // One line on stderr, the code, and the parts that a user needs.
  static void expect_failure(
      int code, const std::vector<std::string>& parts, const std::vector<std::string>& arguments) {
    const Finished result = run(arguments);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& part : parts) {
      EXPECT_THAT(result.err, HasSubstr(part));
    }
  }

  // As `expect_failure`, with its output beside that of the program that is running.
  static void expect_in_use(const std::string& out, const std::vector<std::string>& more) {
    fs::create_directories(path("second"));
    const Finished second = run_program(path("second"), edit(out, more));
    EXPECT_EQ(second.code, 3);
    EXPECT_THAT(second.err, HasSubstr("in use by another errata process"));
  }

  // The miniature.
  static std::vector<std::string> pretrain(
      const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "pretrain", "--store",   path("w.db"), "--as-of",    "2020-01-01", "--out",
        path(out),  "--hidden",  "64",         "--layers",   "2",          "--head-dim",
        "32",       "--vocab",   "400",        "--tokens",   "20000",      "--batch-tokens",
        "1000",     "--threads", "1",          "--progress", "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Runs what `command` makes for a directory once in peace, then again and again with SIGKILL at
  // random moments of that time, ten in all, each followed by the same command. Whenever a run
  // ends, its `files` must be those of the first.
  static void expect_same_after_kills(
      const std::string& name,
      const std::vector<std::string>& files,
      const std::function<std::vector<std::string>(const std::string& out)>& command) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    must_run(command(name));
    const std::chrono::duration<double> calm = Clock::now() - begin;
    Random random(3);
    int kills = 0;
    for (int round = 0; kills < 10; ++round) {
      const std::string out = concat(name, '-', round);
      int code = -1;
      while (code != 0) {
        Program program(directory_->path(), command(out));
        const auto moment = Clock::now() + calm * random.uniform();
        while (kills < 10 && Clock::now() < moment && program.running()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        if (kills < 10 && program.running()) {
          program.send(SIGKILL);
          ++kills;
        }
        code = program.wait();
        ASSERT_TRUE(code == 0 || code == 128 + SIGKILL) << program.err();
      }
      for (const std::string& file : files) {
        EXPECT_TRUE(read_file(path(out) + "/" + file) == read_file(path(name) + "/" + file))
            << file << " of round " << round << ", after " << kills << " kills";
      }
    }
  }

  static bool wait_for(const fs::path& file, Program& program) {
    while (!fs::exists(file)) {
      if (!program.running()) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static std::string adapter_bytes(const std::string& out) {
    return read_file(path(out) + "/adapter/adapter_model.safetensors");
  }

  static inline std::unique_ptr<TemporaryDirectory> directory_;
};

} // namespace errata::testing_support
