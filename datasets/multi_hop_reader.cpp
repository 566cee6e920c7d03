#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

#include <algorithm>

namespace errata::datasets {
namespace {

std::vector<Hop> chain_field(const JsonFields& fields, std::string_view name) {
  std::vector<Hop> chain;
  if (fields.is_null(name)) {
    return chain;
  }
  const Json& list = *fields.find(name);
  const auto expect = [&](bool condition, std::string_view what) {
    ERRATA_CHECK(condition, ErrorCode::kCorrupt, fields.where(), ": field '", name, "' ", what);
  };
  const auto is_text = [](const Json& part) {
    return part.is_string() && !part.get_ref<const std::string&>().empty();
  };
  expect(list.is_array() && !list.empty(), "is not a list of [subject, relation, object]");
  for (const Json& hop : list) {
    expect(
        hop.is_array() && hop.size() == 3 && std::all_of(hop.begin(), hop.end(), is_text),
        "has a hop that is not three non-empty strings [subject, relation, object]");
    chain.push_back(
        {hop[0].get<std::string>(), hop[1].get<std::string>(), hop[2].get<std::string>()});
    if (chain.size() > 1) {
      expect(
          chain[chain.size() - 2].object == chain.back().subject,
          "is broken: a hop must start where the one before it ends");
    }
  }
  return chain;
}

// The answer of a chain: given, it must be the chain's end; left out, it is taken from there.
std::string answer_field(
    const JsonFields& fields, std::string_view name, const std::vector<Hop>& chain) {
  const std::string end = chain.empty() ? "" : chain.back().object;
  std::string answer = fields.optional<std::string>(name, end);
  ERRATA_CHECK(
      answer == end,
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is '",
      answer.substr(0, 40),
      "', but its chain ends in '",
      end.substr(0, 40),
      "'");
  return answer;
}

void check_case(const MultiHopCase& item, const JsonFields& fields) {
  const auto expect = [&](bool condition, std::string_view name, std::string_view what) {
    ERRATA_CHECK(condition, ErrorCode::kCorrupt, fields.where(), ": field '", name, "' ", what);
  };
  expect(!item.chain_new.empty(), "chain_new", "is missing; expected the chain after the edits");
  expect(
      item.chain.empty() || item.chain.size() == item.chain_new.size(),
      "chain_new",
      "has another number of hops than 'chain'");
  expect(
      item.start == item.chain_new.front().subject &&
          (item.chain.empty() || item.start == item.chain.front().subject),
      "start",
      "is not where the chain begins");
  expect(
      fields.optional<std::int64_t>("hops", static_cast<std::int64_t>(item.hops())) ==
          static_cast<std::int64_t>(item.hops()),
      "hops",
      "is not the length of the chain");
  expect(item.changed == (item.chain != item.chain_new), "changed", "contradicts the two chains");
  expect(
      fields.optional<bool>("base_undefined", item.chain.empty()) == item.chain.empty(),
      "base_undefined",
      "contradicts 'chain'");
  expect(!item.questions.empty(), "questions", "is empty; expected at least one question");
  constexpr std::string_view kPlaces[] = {"", "first", "middle", "last"};
  expect(
      std::find(std::begin(kPlaces), std::end(kPlaces), item.edited_hop) != std::end(kPlaces),
      "edited_hop",
      "is not first, middle, last or null");
}

MultiHopCase read_case(const JsonFields& fields) {
  fields.reject_unknown(
      {"id",
       "hops",
       "edited_hop",
       "start",
       "chain",
       "chain_new",
       "changed",
       "base_undefined",
       "questions",
       "answer",
       "answer_aliases",
       "new_answer",
       "new_answer_aliases",
       "edit_ids"});
  MultiHopCase item;
  item.id = text_field(fields, "id");
  item.chain = chain_field(fields, "chain");
  item.chain_new = chain_field(fields, "chain_new");
  const std::vector<Hop>& any = item.chain_new.empty() ? item.chain : item.chain_new;
  item.start = fields.optional<std::string>("start", any.empty() ? "" : any.front().subject);
  item.changed = fields.optional<bool>("changed", item.chain != item.chain_new);
  item.edited_hop = optional_text_field(fields, "edited_hop");
  item.questions = list_field(fields, "questions");
  item.answer = answer_field(fields, "answer", item.chain);
  item.answer_aliases = list_field(fields, "answer_aliases");
  item.new_answer = answer_field(fields, "new_answer", item.chain_new);
  item.new_answer_aliases = list_field(fields, "new_answer_aliases");
  item.edit_ids = list_field(fields, "edit_ids");
  check_case(item, fields);
  return item;
}

} // namespace

void read_multi_hop(
    const std::filesystem::path& path,
    const std::function<void(const MultiHopCase& item, std::int64_t line)>& visit) {
  bool any = false;
  read_field_lines(path, [&](const JsonFields& fields, std::int64_t line) {
    any = true;
    visit(read_case(fields), line);
  });
  ERRATA_CHECK(any, ErrorCode::kCorrupt, path.string(), ": no multi-hop cases in the file");
}

std::vector<MultiHopCase> read_multi_hop(const std::filesystem::path& path) {
  std::vector<MultiHopCase> cases;
  std::set<std::string> ids;
  read_multi_hop(path, [&](const MultiHopCase& item, std::int64_t line) {
    require_new_id(ids, path, line, item.id);
    cases.push_back(item);
  });
  return cases;
}

} // namespace errata::datasets
