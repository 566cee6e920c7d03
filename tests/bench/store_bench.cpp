// store_bench DIRECTORY FACTS [grouped|shuffled] [READERS]: what the edit store does with a
// synthetic world of that many facts (docs/performance.md). Writes DIRECTORY/bench.db anew.

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/resources.h"
#include "tests/bench/synthetic_facts.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace errata::bench {
namespace {

namespace fs = std::filesystem;
using editing::EditStore;
using editing::FactQuery;

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Latencies {
  std::vector<double> milliseconds;

  void add(double value) { milliseconds.push_back(value); }
  double quantile(double share) {
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto last = static_cast<double>(milliseconds.size() - 1);
    return milliseconds[static_cast<std::size_t>(share * last)];
  }
};

void print(const char* what, Latencies& latencies) {
  if (latencies.milliseconds.empty()) {
    return;
  }
  std::printf(
      "%-34s p50 %.3f ms, p99 %.3f ms, worst %.3f ms, n %zu\n",
      what,
      latencies.quantile(0.5),
      latencies.quantile(0.99),
      latencies.quantile(1.0),
      latencies.milliseconds.size());
}

std::uintmax_t size_on_disk(const fs::path& store) {
  std::uintmax_t bytes = 0;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code missing;
    const auto size = fs::file_size(store.string() + suffix, missing);
    bytes += missing ? 0 : size;
  }
  return bytes;
}

void import_all(const fs::path& path, const SyntheticFacts& facts) {
  EditStore store = EditStore::create(path);
  facts.put_relations(store);
  const auto start = std::chrono::steady_clock::now();
  const double cpu_before = cpu_seconds();
  EditStore::Change change = store.begin("import", "synthetic");
  for (std::int64_t place = 0; place < facts.count(); ++place) {
    store.add(facts.at(place));
    if ((place + 1) % 1'000'000 == 0) {
      std::fprintf(
          stderr, "%lld facts, %.1f s\n", static_cast<long long>(place + 1), seconds_since(start));
    }
  }
  const double added = seconds_since(start);
  change.commit();
  const double seconds = seconds_since(start);
  const double cpu = cpu_seconds() - cpu_before;
  std::printf(
      "import                             %.0f facts/s (%.1f s, of them %.1f s after the last "
      "fact; CPU %.2f s)\n",
      static_cast<double>(facts.count()) / seconds,
      seconds,
      seconds - added,
      cpu);
}

/// The slot of a subject drawn at random, on a day drawn at random.
FactQuery any_slot(const SyntheticFacts& facts, Random& random) {
  const auto subject =
      static_cast<std::int64_t>(random.index(static_cast<std::size_t>(facts.subjects())));
  const auto slot = static_cast<std::int64_t>(random.index(SyntheticFacts::kFactsEach / 2));
  FactQuery query;
  query.subject = facts.subject_name(subject);
  query.relation = SyntheticFacts::relation_name(SyntheticFacts::relation_of(subject, slot));
  query.day = Date{
      SyntheticFacts::kFirstYear + static_cast<int>(random.index(SyntheticFacts::kYears)),
      1 + static_cast<int>(random.index(12)),
      1 + static_cast<int>(random.index(28))};
  return query;
}

Latencies read_slots(
    const EditStore& store, const SyntheticFacts& facts, int count, Random& random) {
  Latencies latencies;
  for (int i = 0; i < count; ++i) {
    const FactQuery query = any_slot(facts, random);
    const auto start = std::chrono::steady_clock::now();
    const auto found = store.find(query);
    latencies.add(1e3 * seconds_since(start));
    ERRATA_CHECK(found.size() < 100, ErrorCode::kInternal, "a slot of ", found.size(), " values");
  }
  return latencies;
}

void read_relation(const EditStore& store) {
  FactQuery query;
  query.relation = SyntheticFacts::relation_name(0);
  query.day = Date{2015, 6, 1};
  const auto start = std::chrono::steady_clock::now();
  const auto found = store.find(query);
  const double seconds = seconds_since(start);
  std::printf(
      "as-of state of one relation        %.2f s, %zu facts, %.1f us a fact\n",
      seconds,
      found.size(),
      1e6 * seconds / static_cast<double>(std::max<std::size_t>(found.size(), 1)));
}

void read_differences(const EditStore& store) {
  for (const int days : {1, 4, 16, 64}) {
    const Date from{2018, 3, 1};
    const Date to{2018, 3 + days / 28, 1 + days % 28};
    const auto start = std::chrono::steady_clock::now();
    const auto edits = store.diff(from, to);
    const double seconds = seconds_since(start);
    std::printf(
        "diff of %2d days                    %.3f s, %zu edits, %.1f us an edit\n",
        days,
        seconds,
        edits.size(),
        1e6 * seconds / static_cast<double>(std::max<std::size_t>(edits.size(), 1)));
  }
}

/// Reads slots until told to stop; its latencies go into the pipe.
[[noreturn]] void reader(const fs::path& path, const SyntheticFacts& facts, int number, int pipe) {
  const EditStore store = EditStore::open(path);
  Random random(static_cast<std::uint64_t>(number));
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < 10) {
    for (const double value : read_slots(store, facts, 100, random).milliseconds) {
      ERRATA_CHECK(::write(pipe, &value, sizeof value) == sizeof value, ErrorCode::kIo, "pipe");
    }
  }
  std::_Exit(0);
}

// One fact a change, each made durable, as `errata store add` does it.
Latencies write_beside(const fs::path& path) {
  EditStore store = EditStore::open(path);
  Latencies latencies;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; seconds_since(start) < 10; ++i) {
    datasets::Fact fact;
    fact.subject = "Written beside readers " + std::to_string(i);
    fact.relation = SyntheticFacts::relation_name(0);
    fact.object = "Object number 1";
    const auto begin = std::chrono::steady_clock::now();
    store.add(fact);
    latencies.add(1e3 * seconds_since(begin));
  }
  return latencies;
}

void read_beside_writer(const fs::path& path, const SyntheticFacts& facts, int readers) {
  int ends[2];
  ERRATA_CHECK(::pipe(ends) == 0, ErrorCode::kIo, "pipe");
  std::vector<pid_t> children;
  for (int number = 0; number < readers; ++number) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      reader(path, facts, number, ends[1]);
    }
    children.push_back(child);
  }
  const pid_t writer = ::fork();
  if (writer == 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    Latencies written = write_beside(path);
    print(("write beside " + std::to_string(readers) + " readers").c_str(), written);
    std::fflush(stdout);
    std::_Exit(0);
  }
  ::close(ends[1]);
  Latencies read;
  double value = 0;
  while (::read(ends[0], &value, sizeof value) == sizeof value) {
    read.add(value);
  }
  ::close(ends[0]);
  children.push_back(writer);
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    ERRATA_CHECK(status == 0, ErrorCode::kInternal, "a process of the bench ended with ", status);
  }
  print(("as-of of one slot, " + std::to_string(readers) + " readers").c_str(), read);
}

int run(const fs::path& directory, std::int64_t count, Order order, int readers) {
  const fs::path path = directory / "bench.db";
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(path.string() + suffix);
  }
  const SyntheticFacts facts(count, order);
  import_all(path, facts);
  const auto bytes = size_on_disk(path);
  std::printf(
      "file                               %.1f MB, %.0f bytes a fact\n",
      static_cast<double>(bytes) / 1e6,
      static_cast<double>(bytes) / static_cast<double>(count));
  std::printf(
      "peak memory of the import          %.0f MB\n", static_cast<double>(peak_rss_bytes()) / 1e6);
  {
    const EditStore store = EditStore::open(path);
    Random random(1);
    Latencies first = read_slots(store, facts, 10'000, random);
    print("as-of of one slot", first);
    read_relation(store);
    read_differences(store);
  }
  std::fflush(stdout);
  read_beside_writer(path, facts, readers);
  return 0;
}

} // namespace
} // namespace errata::bench

int main(int argc, char** argv) {
  const long long count = argc >= 3 ? std::atoll(argv[2]) : 0;
  const bool shuffled = argc >= 4 && std::string(argv[3]) == "shuffled";
  if (count < 1000) {
    std::cerr << "usage: store_bench DIRECTORY FACTS [grouped|shuffled] [READERS]\n"
                 "FACTS at least 1000; makes DIRECTORY/bench.db anew\n";
    return 2;
  }
  try {
    return errata::bench::run(
        argv[1],
        count,
        shuffled ? errata::bench::Order::kShuffled : errata::bench::Order::kGrouped,
        argc >= 5 ? std::atoi(argv[4]) : 8);
  } catch (const errata::Error& error) {
    std::cerr << "store_bench: " << error.what() << '\n';
    return errata::exit_code(error.code());
  }
}
