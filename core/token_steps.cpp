#include "core/token_steps.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/token_cutting.h"

#include <cstdlib>
#include <memory>
#include <utf8proc.h>
#include <utility>

namespace errata {
namespace {

// What GPT-2 cuts by, where a file does not say otherwise.
constexpr const char* kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// A step's fields and its kind.
struct Step {
  Step(const Json& json, const std::string& where)
      : fields(json, where), kind(fields.required<std::string>("type")) {}

  std::string where() const { return concat(fields.where(), ": ", kind); }
  /// The field `name`, a list or an object.
  const Json& part(const char* name, Json::value_t type) const {
    const Json* found = fields.find(name);
    ERRATA_CHECK(
        found != nullptr && found->type() == type,
        ErrorCode::kCorrupt,
        where(),
        ": '",
        name,
        "' must be ",
        type == Json::value_t::array ? "a list" : "an object");
    return *found;
  }
  const Json& list(const char* name) const { return part(name, Json::value_t::array); }
  const Json& object(const char* name) const { return part(name, Json::value_t::object); }
  [[noreturn]] void fail(const char* what, const char* supported) const {
    ERRATA_FAIL(
        ErrorCode::kUnsupported,
        fields.where(),
        ": ",
        what,
        " '",
        kind,
        "' is not supported; supported: ",
        supported);
  }

  JsonFields fields;
  std::string kind;
};

std::string normal_form(const std::string& text, unsigned options) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()),
      &mapped,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  ERRATA_CHECK(size >= 0, ErrorCode::kInvalidArgument, "tokenizer: ", utf8proc_errmsg(size));
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

std::string trimmed(const std::string& text, bool left, bool right) {
  constexpr const char* kSpaces = " \t\n\v\f\r";
  const std::size_t begin = left ? text.find_first_not_of(kSpaces) : 0;
  if (begin == std::string::npos) {
    return {};
  }
  const std::size_t end = right ? text.find_last_not_of(kSpaces) + 1 : text.size();
  return text.substr(begin, end - begin);
}

// Calls `cut(part)` for each part, whose pieces take its place.
template <typename CutPart>
std::vector<TextPart> cut_parts(const std::vector<TextPart>& parts, const CutPart& cut) {
  std::vector<TextPart> result;
  for (const TextPart& part : parts) {
    bool first = part.first;
    for (const std::string_view piece : cut(part.text)) {
      result.push_back({std::string(piece), std::exchange(first, false)});
    }
  }
  return result;
}

PreTokenizer split_by(SearchPattern pattern, CutBehaviour behaviour, bool invert) {
  auto shared = std::make_shared<const SearchPattern>(std::move(pattern));
  return [shared, behaviour, invert](const std::vector<TextPart>& parts) {
    return cut_parts(
        parts, [&](const std::string& text) { return cut_text(text, *shared, behaviour, invert); });
  };
}

PreTokenizer byte_level(const Step& step) {
  const bool prefix = step.fields.optional<bool>("add_prefix_space", true);
  const PreTokenizer words =
      step.fields.optional<bool>("use_regex", true)
          ? split_by(SearchPattern(Regex(kGpt2Words, step.where())), CutBehaviour::kIsolated, false)
          : PreTokenizer();
  return [prefix, words](std::vector<TextPart> parts) {
    for (TextPart& part : parts) {
      if (prefix && !part.text.starts_with(' ')) {
        part.text.insert(0, 1, ' ');
      }
    }
    if (words) {
      parts = words(std::move(parts));
    }
    for (TextPart& part : parts) {
      part.text = bytes_as_characters(part.text);
    }
    return parts;
  };
}

// Where a space sign is put in front: "first", "always" or "never".
std::string prepend_scheme(const Step& step) {
  const bool old = step.fields.optional<bool>("add_prefix_space", true);
  auto scheme = step.fields.optional<std::string>("prepend_scheme", old ? "always" : "never");
  ERRATA_CHECK(
      scheme == "first" || scheme == "always" || scheme == "never",
      ErrorCode::kUnsupported,
      step.where(),
      ": prepend_scheme '",
      scheme,
      "' is not supported; supported: first, always, never");
  return scheme;
}

PreTokenizer metaspace(const Step& step) {
  const auto sign = step.fields.optional<std::string>("replacement", kSpaceSign);
  const std::string scheme = prepend_scheme(step);
  const bool split = step.fields.optional<bool>("split", true);
  auto blank = std::make_shared<const SearchPattern>(Json{{"String", " "}}, step.where());
  const PreTokenizer words = split ? split_by(
                                         SearchPattern(Json{{"String", sign}}, step.where()),
                                         CutBehaviour::kMergedWithNext,
                                         false)
                                   : PreTokenizer();
  return [=](std::vector<TextPart> parts) {
    for (TextPart& part : parts) {
      part.text = blank->replace(part.text, sign);
      const bool wanted = scheme == "always" || (scheme == "first" && part.first);
      if (wanted && !part.text.starts_with(sign)) {
        part.text.insert(0, sign);
      }
    }
    return words ? words(std::move(parts)) : parts;
  };
}

} // namespace

Normalizer parse_normalizer(const Json& json, const std::string& where) {
  if (json.is_null()) {
    return [](std::string text) { return text; };
  }
  const Step step(json, where);
  if (step.kind == "Sequence") {
    std::vector<Normalizer> steps;
    for (const Json& part : step.list("normalizers")) {
      steps.push_back(parse_normalizer(part, where));
    }
    return [steps](std::string text) {
      for (const Normalizer& next : steps) {
        text = next(std::move(text));
      }
      return text;
    };
  }
  if (step.kind == "Prepend") {
    return [prefix = step.fields.required<std::string>("prepend")](std::string text) {
      return text.empty() ? text : prefix + text;
    };
  }
  if (step.kind == "Replace") {
    auto pattern = std::make_shared<const SearchPattern>(step.object("pattern"), step.where());
    return [pattern, content = step.fields.required<std::string>("content")](
               const std::string& text) { return pattern->replace(text, content); };
  }
  if (step.kind == "Strip") {
    const bool left = step.fields.optional<bool>("strip_left", true);
    const bool right = step.fields.optional<bool>("strip_right", true);
    return [left, right](const std::string& text) { return trimmed(text, left, right); };
  }
  const auto form = [&](const char* name) { return step.kind == name; };
  if (form("NFC") || form("NFKC") || form("NFD") || form("NFKD")) {
    const unsigned options = (form("NFC") || form("NFKC") ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                             (form("NFKC") || form("NFKD") ? UTF8PROC_COMPAT : 0);
    return [options](const std::string& text) { return normal_form(text, options); };
  }
  step.fail("normalizer", "Sequence, Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD");
}

PreTokenizer parse_pre_tokenizer(const Json& json, const std::string& where) {
  if (json.is_null()) {
    return [](std::vector<TextPart> parts) { return parts; };
  }
  const Step step(json, where);
  if (step.kind == "Sequence") {
    std::vector<PreTokenizer> steps;
    for (const Json& part : step.list("pretokenizers")) {
      steps.push_back(parse_pre_tokenizer(part, where));
    }
    return [steps](std::vector<TextPart> parts) {
      for (const PreTokenizer& next : steps) {
        parts = next(std::move(parts));
      }
      return parts;
    };
  }
  if (step.kind == "ByteLevel") {
    return byte_level(step);
  }
  if (step.kind == "Metaspace") {
    return metaspace(step);
  }
  if (step.kind == "Split") {
    return split_by(
        SearchPattern(step.object("pattern"), step.where()),
        parse_cut_behaviour(step.fields.required<std::string>("behavior"), step.where()),
        step.fields.optional<bool>("invert", false));
  }
  if (step.kind == "Digits") {
    const bool each = step.fields.optional<bool>("individual_digits", false);
    return split_by(
        SearchPattern(Regex(R"(\p{N})", step.where())),
        each ? CutBehaviour::kIsolated : CutBehaviour::kContiguous,
        false);
  }
  step.fail("pre_tokenizer", "Sequence, ByteLevel, Metaspace, Split, Digits");
}

} // namespace errata
