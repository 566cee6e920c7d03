#include "peft/gguf_file_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <utility>

namespace errata::peft {
namespace {

// What the file name convention lets stand between two hyphens.
std::string name_part(const std::string& text) {
  std::string part;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain || c == '.') {
      part += c;
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
  }
  while (!part.empty() && (part.back() == '-' || part.back() == '.')) {
    part.pop_back();
  }
  return part;
}

// "1b", "0.5B", "8x7B": digits and one letter for their unit.
bool is_size(std::string_view word) {
  const auto digits = [&] {
    std::size_t count = 0;
    while (!word.empty() && std::isdigit(static_cast<unsigned char>(word.front())) != 0) {
      word.remove_prefix(1);
      ++count;
    }
    return count > 0;
  };
  if (!digits()) {
    return false;
  }
  if (word.starts_with('x')) {
    word.remove_prefix(1);
    if (!digits()) {
      return false;
    }
  }
  if (word.starts_with('.')) {
    word.remove_prefix(1);
    if (!digits()) {
      return false;
    }
  }
  constexpr std::string_view kUnits = "KMBTkmbt";
  return word.size() == 1 && kUnits.find(word.front()) != std::string_view::npos;
}

// Two significant digits and a unit, as llama.cpp's own converter writes it.
std::string size_label(std::int64_t parameters) {
  constexpr std::array<std::pair<double, char>, 4> kUnits = {
      {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}}};
  const auto count = static_cast<double>(parameters);
  const auto unit = std::find_if(
      kUnits.begin(), kUnits.end() - 1, [&](const auto& entry) { return count > entry.first; });
  const double scaled = count / unit->first;
  std::array<char, 32> text{};
  std::snprintf(
      text.data(), text.size(), "%.*f%c", std::round(scaled) < 10 ? 1 : 0, scaled, unit->second);
  return text.data();
}

std::string joined(const std::string& left, const std::string& right) {
  return left.empty() || right.empty() ? left + right : left + "-" + right;
}

} // namespace

std::string GgufFileName::text() const {
  std::string name = base;
  for (const std::string& part : {size, fine_tune, version, encoding, std::string("LoRA")}) {
    name = joined(name, part);
  }
  return name + ".gguf";
}

GgufFileName gguf_file_name(
    const std::string& model,
    std::int64_t parameters,
    const std::string& adapter,
    const std::string& encoding) {
  GgufFileName name;
  name.model = model;
  name.encoding = encoding;
  const std::string whole = name_part(model);
  std::string* target = &name.base;
  std::size_t begin = 0;
  while (begin <= whole.size() && !whole.empty()) {
    const std::size_t end = std::min(whole.find('-', begin), whole.size());
    std::string word = whole.substr(begin, end - begin);
    if (name.size.empty() && !name.base.empty() && is_size(word)) {
      word.back() = static_cast<char>(std::toupper(static_cast<unsigned char>(word.back())));
      name.size = word;
      target = &name.fine_tune;
    } else {
      *target = joined(*target, word);
    }
    begin = end + 1;
  }
  if (name.base.empty()) {
    name.base = "model";
  }
  if (name.size.empty()) {
    name.size = size_label(parameters);
  }
  name.fine_tune = joined(name.fine_tune, name_part(adapter));
  return name;
}

} // namespace errata::peft
