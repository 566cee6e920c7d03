#include "core/tokenizer_json.h"

#include "core/base/json.h"
#include "core/token_steps.h"

#include <unordered_set>

namespace errata {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

// Every way to make a piece of two others. One of them is what training merged; the others never
// arise, because the halves would have had to be merged later.
OrderedJson merges_of(const std::vector<VocabularyPiece>& pieces) {
  std::unordered_set<std::string> known;
  for (const VocabularyPiece& piece : pieces) {
    known.insert(piece.text);
  }
  OrderedJson merges = OrderedJson::array();
  for (const VocabularyPiece& piece : pieces) {
    for (std::size_t i = 1; piece.merged && i < piece.text.size(); ++i) {
      if (!begins_character(piece.text[i])) {
        continue;
      }
      const std::string left = piece.text.substr(0, i);
      const std::string right = piece.text.substr(i);
      if (known.contains(left) && known.contains(right)) {
        merges.push_back(OrderedJson::array({left, right}));
      }
    }
  }
  return merges;
}

OrderedJson vocabulary_of(const std::vector<VocabularyPiece>& pieces) {
  // Filled as the underlying vector: inserting by key would search it each time.
  OrderedJson::object_t vocabulary;
  vocabulary.reserve(pieces.size());
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    vocabulary.push_back({pieces[id].text, id});
  }
  return vocabulary;
}

OrderedJson added_json(const std::vector<AddedToken>& added) {
  OrderedJson list = OrderedJson::array();
  for (const AddedToken& token : added) {
    list.push_back(
        {{"id", token.id},
         {"content", token.content},
         {"single_word", false},
         {"lstrip", token.strip_left},
         {"rstrip", token.strip_right},
         {"normalized", false},
         {"special", token.special}});
  }
  return list;
}

OrderedJson template_json(const AddedToken& bos) {
  const auto special = [&](int type) {
    return OrderedJson{{"SpecialToken", {{"id", bos.content}, {"type_id", type}}}};
  };
  const auto sequence = [](const char* id, int type) {
    return OrderedJson{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  OrderedJson json;
  json["type"] = "TemplateProcessing";
  json["single"] = OrderedJson::array({special(0), sequence("A", 0)});
  json["pair"] = OrderedJson::array({special(0), sequence("A", 0), special(1), sequence("B", 1)});
  json["special_tokens"][bos.content] = {
      {"id", bos.content},
      {"ids", OrderedJson::array({bos.id})},
      {"tokens", OrderedJson::array({bos.content})}};
  return json;
}

OrderedJson replace_json(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

} // namespace

OrderedJson tokenizer_json(
    const std::vector<VocabularyPiece>& pieces,
    const std::vector<AddedToken>& added,
    const std::string& unknown,
    const AddedToken& bos) {
  OrderedJson json;
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["added_tokens"] = added_json(added);
  json["normalizer"] = replace_json(" ", kSpaceSign);
  json["pre_tokenizer"] = {
      {"type", "Split"},
      {"pattern", {{"String", " "}}},
      {"behavior", "MergedWithPrevious"},
      {"invert", false}};
  json["post_processor"] = template_json(bos);
  json["decoder"]["type"] = "Sequence";
  json["decoder"]["decoders"] = OrderedJson::array(
      {replace_json(kSpaceSign, " "),
       OrderedJson{{"type", "ByteFallback"}},
       OrderedJson{{"type", "Fuse"}}});
  OrderedJson& model = json["model"];
  model["type"] = "BPE";
  model["dropout"] = nullptr;
  model["unk_token"] = unknown;
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = true;
  model["byte_fallback"] = true;
  model["ignore_merges"] = false;
  model["vocab"] = vocabulary_of(pieces);
  model["merges"] = merges_of(pieces);
  return json;
}

} // namespace errata
