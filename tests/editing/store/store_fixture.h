#pragma once

#include "editing/store/edit_store.h"
#include "tests/editing/facts.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

namespace errata::editing {

/// Does not wait for the disk: for tests that make hundreds of stores.
inline StoreOptions throwaway() {
  StoreOptions options;
  options.durable = false;
  return options;
}

inline datasets::Relation relation(const std::string& name, bool functional = true) {
  datasets::Relation relation;
  relation.name = name;
  relation.functional = functional;
  relation.statements = {"The " + name + " of {s} is {o}."};
  relation.questions = {"What is the " + name + " of {s}?"};
  return relation;
}

/// Tests that write files into a directory of their own.
class StoreTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& name) const { return directory_ / name; }

  /// A store of two relations, one and many values to a subject: changes 1 and 2.
  EditStore make(const std::string& name = "s", const StoreOptions& options = {}) const {
    EditStore store = EditStore::create(file(name), options);
    store.put_relation(relation("capital"));
    store.put_relation(relation("borders", false));
    return store;
  }

 private:
  testing_support::TemporaryDirectory directory_;
};

} // namespace errata::editing
