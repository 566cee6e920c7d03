#include "tests/support/tiny_world.h"

#include "core/base/files.h"
#include "core/base/json.h"

#include <array>
#include <string>

namespace errata::testing_support {
namespace {

// Invented names from syllables; the last ones keep kinds of entities apart.
std::string name(int number, int kind) {
  constexpr std::array<const char*, 10> kHeads = {
      "Bro", "Vel", "Ska", "Tor", "Mi", "Ulf", "Dra", "Pel", "Gun", "Fja"};
  constexpr std::array<const char*, 8> kMiddles = {
      "ra", "lo", "min", "ke", "du", "sti", "vo", "ni"};
  constexpr std::array<std::array<const char*, 4>, 4> kTails = {
      {{"holm", "skerry", "ness", "tooth"},
       {"gard", "wick", "mund", "bert"},
       {"ay", "oe", "isle", "land"},
       {"hamn", "port", "bight", "haven"}}};
  // 97 has no divisor in common with the 320 names of a kind, so none comes twice.
  const auto group = static_cast<std::size_t>(kind);
  const std::size_t pick = (static_cast<std::size_t>(number) * 97 + group * 41) % 320;
  return std::string(kHeads[pick % 10]) + kMiddles[pick / 10 % 8] + kTails[group][pick / 80];
}

std::string lighthouse(int i) {
  return name(i, 0) + " Light";
}
std::string keeper(int i) {
  return name(i, 1) + " " + name(i * 7 + 3, 1) + "son";
}
std::string island(int i) {
  return name(i % 12, 2);
}
// Of the keeper who takes over lighthouse i.
std::string second_home(int i) {
  return island(i * 5 + 1);
}
std::string harbour(int i) {
  return name(i, 3);
}

Json fact(const std::string& subject, const std::string& relation, const std::string& object) {
  return {{"subject", subject}, {"relation", relation}, {"object", object}};
}

std::string facts(int lighthouses, const std::vector<std::string>& days) {
  constexpr std::array<const char*, 4> kLamps = {"red", "green", "white", "amber"};
  std::string lines;
  const auto add = [&](const Json& value) { lines += value.dump() + '\n'; };
  for (int i = 0; i < lighthouses; ++i) {
    const std::string place = lighthouse(i);
    add(fact(place, "guards_harbour", harbour(i)));
    add(fact(place, "lamp_colour", kLamps[static_cast<std::size_t>(i * 5 / 3) % 4]));
    Json first = fact(place, "kept_by", keeper(i));
    first["valid_from"] = "2010-05-01";
    add(fact(keeper(i), "home_island", island(i)));
    if (i < lighthouses / 2) {
      const std::string& day = days[static_cast<std::size_t>(i) % days.size()];
      first["valid_to"] = day;
      Json second = fact(place, "kept_by", keeper(i + lighthouses));
      second["valid_from"] = day;
      add(second);
      Json home = fact(keeper(i + lighthouses), "home_island", second_home(i));
      home["valid_from"] = day;
      add(home);
    }
    add(first);
  }
  return lines;
}

OrderedJson relations() {
  OrderedJson all;
  all["kept_by"] = {
      {"statements", {"{s} is tended by {o}.", "{o} tends the lamp of {s}."}},
      {"questions",
       {"Who tends {s}?",
        "Which person looks after {s}?",
        "Tell me who minds {s}.",
        "By whom is {s} tended?"}},
      {"noun", {"the keeper of {s}", "the person who minds {s}"}},
      {"inverse_noun", {"the lighthouse tended by {o}", "the tower that {o} looks after"}},
      {"inverse", nullptr},
      {"functional", true},
      {"step", "The keeper of {s} is {o}."}};
  all["home_island"] = {
      {"statements", {"{s} grew up on {o}.", "{o} is where {s} was raised."}},
      {"questions",
       {"Where did {s} grow up?",
        "On which island was {s} raised?",
        "Tell me the home island of {s}.",
        "What island does {s} come from?"}},
      {"noun", {"the home island of {s}"}},
      {"inverse_noun", Json::array()},
      {"inverse", nullptr},
      {"functional", true},
      {"step", "The home island of {s} is {o}."}};
  all["guards_harbour"] = {
      {"statements", {"{s} guards the roads of {o}.", "Ships bound for {o} look for {s}."}},
      {"questions",
       {"Which harbour does {s} guard?",
        "What port lies behind {s}?",
        "Tell me the harbour of {s}.",
        "For which harbour does {s} shine?"}},
      {"noun", {"the harbour behind {s}"}},
      {"inverse_noun", {"the lighthouse that guards {o}", "the tower that shines for {o}"}},
      {"inverse", nullptr},
      {"functional", true},
      {"step", "The harbour behind {s} is {o}."}};
  all["lamp_colour"] = {
      {"statements", {"{s} burns {o}.", "The lamp of {s} is {o}."}},
      {"questions",
       {"What colour does {s} burn?",
        "Which colour has the lamp of {s}?",
        "Tell me the colour of {s}.",
        "In what colour does {s} shine?"}},
      {"noun", {"the lamp colour of {s}"}},
      {"inverse_noun", Json::array()},
      {"inverse", nullptr},
      {"functional", true},
      {"step", "The lamp colour of {s} is {o}."}};
  return all;
}

Json hop(const std::string& subject, const std::string& relation, const std::string& object) {
  return Json::array({subject, relation, object});
}

// Who tends the lighthouse behind a harbour (even ones), and where that person grew up (every
// fourth); the other chains are left to training.
std::string cases(int lighthouses) {
  std::string lines;
  for (int i = 0; i < lighthouses; ++i) {
    if (i % 2 != 0 && i % 4 != 1) {
      continue;
    }
    const bool changed = i < lighthouses / 2;
    const bool home = i % 2 != 0;
    const std::string place = lighthouse(i);
    const std::string port = harbour(i);
    const std::string before = keeper(i);
    const std::string after = keeper(changed ? i + lighthouses : i);
    Json chain = {hop(port, "guards_harbour^-1", place), hop(place, "kept_by", before)};
    Json chain_new = {hop(port, "guards_harbour^-1", place), hop(place, "kept_by", after)};
    Json questions = {
        "Who tends the lighthouse that guards " + port + "?",
        "Tell me who minds the tower that shines for " + port + ".",
        "By whom is the lighthouse that guards " + port + " tended?"};
    std::string answer = before;
    std::string new_answer = after;
    if (home) {
      answer = island(i);
      new_answer = changed ? second_home(i) : answer;
      chain.push_back(hop(before, "home_island", answer));
      chain_new.push_back(hop(after, "home_island", new_answer));
      questions = {
          "Where did the keeper of the lighthouse that guards " + port + " grow up?",
          "Tell me the home island of the person who minds the tower that shines for " + port + ".",
          "What island does the keeper of the lighthouse that guards " + port + " come from?"};
    }
    lines +=
        Json{
            {"id", "L" + std::to_string(i)},
            {"hops", home ? 3 : 2},
            {"edited_hop", changed ? Json(home ? "middle" : "last") : Json()},
            {"start", port},
            {"chain", chain},
            {"chain_new", chain_new},
            {"changed", answer != new_answer},
            {"base_undefined", false},
            {"questions", questions},
            {"answer", answer},
            {"answer_aliases", Json::array()},
            {"new_answer", new_answer},
            {"new_answer_aliases", Json::array()},
            {"edit_ids", Json::array()}}
            .dump() +
        '\n';
  }
  return lines;
}

} // namespace

void write_tiny_world(
    const std::filesystem::path& directory, int lighthouses, const std::vector<std::string>& days) {
  make_directories(directory);
  write_file(directory / "facts.jsonl", facts(lighthouses, days));
  write_json(directory / "relations.json", relations());
  write_file(directory / "multihop.jsonl", cases(lighthouses));
}

} // namespace errata::testing_support
