#include "core/safetensors_header.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

namespace errata {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

constexpr std::uint64_t kLengthField = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;

struct NamedDtype {
  std::string_view name;
  torch::Dtype dtype;
};

// In the order in which the reference writer lays tensors out.
constexpr std::array<NamedDtype, 13> kDtypes = {{
    {"U64", torch::Dtype::UInt64},
    {"I64", torch::Dtype::Long},
    {"F64", torch::Dtype::Double},
    {"F32", torch::Dtype::Float},
    {"U32", torch::Dtype::UInt32},
    {"I32", torch::Dtype::Int},
    {"BF16", torch::Dtype::BFloat16},
    {"F16", torch::Dtype::Half},
    {"U16", torch::Dtype::UInt16},
    {"I16", torch::Dtype::Short},
    {"I8", torch::Dtype::Char},
    {"U8", torch::Dtype::Byte},
    {"BOOL", torch::Dtype::Bool},
}};

// Known to the format, but not to this program.
constexpr std::array<std::string_view, 7> kForeignDtypes = {
    "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "C64"};

std::size_t writing_rank(torch::Dtype dtype) {
  const auto place = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const NamedDtype& known) {
    return known.dtype == dtype;
  });
  return static_cast<std::size_t>(place - kDtypes.begin());
}

// Parses JSON while refusing what nlohmann/json would let pass: a key given twice (the last would
// win) and nesting that no header has.
Json parse_strictly(std::string_view text, const std::string& where) {
  constexpr int kDeepest = 4;
  std::vector<std::set<std::string>> keys;
  const auto visit = [&](int depth, Json::parse_event_t event, Json& value) {
    ERRATA_CHECK(
        depth <= kDeepest, ErrorCode::kCorrupt, where, ": header is nested more than four deep");
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      ERRATA_CHECK(
          keys.back().insert(key).second,
          ErrorCode::kCorrupt,
          where,
          ": header names '",
          key,
          "' twice");
    }
    return true;
  };
  try {
    return Json::parse(text, visit);
  } catch (const Json::parse_error& error) {
    ERRATA_FAIL(
        ErrorCode::kCorrupt,
        where,
        ": header is not valid JSON at byte ",
        kLengthField + (error.byte > 0 ? error.byte - 1 : 0),
        "; the file is damaged or not in safetensors format");
  }
}

std::string_view header_text(std::span<const std::byte> file, const std::string& where) {
  ERRATA_CHECK(
      file.size() >= kLengthField,
      ErrorCode::kCorrupt,
      where,
      ": ",
      file.size(),
      " bytes at offset 0; expected an 8-byte header length, the file is truncated");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  ERRATA_CHECK(
      length <= kLargestHeader,
      ErrorCode::kCorrupt,
      where,
      ": header length ",
      length,
      " at offset 0 is above the limit of ",
      kLargestHeader,
      "; the file is damaged or not in safetensors format");
  ERRATA_CHECK(
      length <= file.size() - kLengthField,
      ErrorCode::kCorrupt,
      where,
      ": header of ",
      length,
      " bytes at offset 8 does not fit in the file of ",
      file.size(),
      " bytes; the file is truncated");
  const std::string_view text(
      reinterpret_cast<const char*>(file.data()) + kLengthField, static_cast<std::size_t>(length));
  ERRATA_CHECK(text.starts_with('{'), ErrorCode::kCorrupt, where, ": expected '{' at offset 8");
  return text;
}

torch::Dtype parse_dtype_name(const std::string& name, const std::string& where) {
  for (const NamedDtype& known : kDtypes) {
    if (known.name == name) {
      return known.dtype;
    }
  }
  const bool foreign =
      std::find(kForeignDtypes.begin(), kForeignDtypes.end(), name) != kForeignDtypes.end();
  ERRATA_CHECK(
      !foreign,
      ErrorCode::kUnsupported,
      where,
      ": dtype ",
      name,
      " is not supported; convert the checkpoint to F32, F16 or BF16");
  ERRATA_FAIL(ErrorCode::kCorrupt, where, ": unknown dtype '", name, "'");
}

std::uint64_t unsigned_value(const Json& value, const std::string& where, const char* what) {
  ERRATA_CHECK(
      value.is_number_unsigned(),
      ErrorCode::kCorrupt,
      where,
      ": ",
      what,
      " must be a non-negative integer");
  return value.get<std::uint64_t>();
}

// Bytes of a tensor of this shape; nothing when the product leaves 63 bits.
std::optional<std::uint64_t> byte_count(
    const std::vector<std::int64_t>& shape, torch::Dtype dtype) {
  std::int64_t count = static_cast<std::int64_t>(torch::elementSize(dtype));
  // A zero anywhere makes an empty tensor, however large the other sizes are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return 0;
  }
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) {
      return std::nullopt;
    }
  }
  return static_cast<std::uint64_t>(count);
}

TensorEntry parse_entry(
    const std::string& name, const Json& value, std::uint64_t data_size, const std::string& file) {
  const std::string where = concat(file, ": tensor '", name, "'");
  const JsonFields fields(value, where);
  for (const auto& item : value.items()) {
    ERRATA_CHECK(
        item.key() == "dtype" || item.key() == "shape" || item.key() == "data_offsets",
        ErrorCode::kCorrupt,
        where,
        ": unknown field '",
        item.key(),
        "'");
  }
  TensorEntry entry;
  entry.name = name;
  entry.dtype = parse_dtype_name(fields.required<std::string>("dtype"), where);
  const Json* shape = fields.find("shape");
  ERRATA_CHECK(
      shape != nullptr && shape->is_array(), ErrorCode::kCorrupt, where, ": no 'shape' list");
  for (const Json& size : *shape) {
    const std::uint64_t length = unsigned_value(size, where, "each size in 'shape'");
    ERRATA_CHECK(
        length <= std::numeric_limits<std::int64_t>::max(),
        ErrorCode::kCorrupt,
        where,
        ": size ",
        length,
        " is too large");
    entry.shape.push_back(static_cast<std::int64_t>(length));
  }
  const Json* offsets = fields.find("data_offsets");
  ERRATA_CHECK(
      offsets != nullptr && offsets->is_array() && offsets->size() == 2,
      ErrorCode::kCorrupt,
      where,
      ": 'data_offsets' must be [begin, end]");
  entry.begin = unsigned_value((*offsets)[0], where, "'data_offsets'");
  entry.end = unsigned_value((*offsets)[1], where, "'data_offsets'");
  ERRATA_CHECK(
      entry.begin <= entry.end && entry.end <= data_size,
      ErrorCode::kCorrupt,
      where,
      ": data_offsets [",
      entry.begin,
      ", ",
      entry.end,
      "] lie outside the ",
      data_size,
      " bytes of tensor data; the file is truncated or damaged");
  const auto bytes = byte_count(entry.shape, entry.dtype);
  ERRATA_CHECK(
      bytes && *bytes == entry.end - entry.begin,
      ErrorCode::kCorrupt,
      where,
      ": ",
      entry.end - entry.begin,
      " bytes at data offset ",
      entry.begin,
      " do not match shape ",
      Json(entry.shape).dump(),
      " of ",
      safetensors_dtype_name(entry.dtype));
  return entry;
}

std::map<std::string, std::string> parse_metadata(const Json& value, const std::string& file) {
  const std::string where = file + ": __metadata__";
  const JsonFields fields(value, where);
  std::map<std::string, std::string> metadata;
  for (const auto& item : value.items()) {
    metadata[item.key()] = fields.required<std::string>(item.key());
  }
  return metadata;
}

// Sorted tensors must follow one another from the first byte to the last.
void check_cover(const SafetensorsHeader& header, std::uint64_t size, const std::string& where) {
  std::uint64_t place = 0;
  for (const TensorEntry& entry : header.tensors) {
    ERRATA_CHECK(
        entry.begin == place,
        ErrorCode::kCorrupt,
        where,
        ": tensor '",
        entry.name,
        "' begins at data offset ",
        entry.begin,
        "; expected ",
        place,
        entry.begin < place ? " (tensors overlap)" : " (a gap between tensors)");
    place = entry.end;
  }
  ERRATA_CHECK(
      place == size,
      ErrorCode::kCorrupt,
      where,
      ": ",
      size - place,
      " bytes at offset ",
      header.data_start + place,
      " belong to no tensor");
}

} // namespace

std::string safetensors_dtype_name(torch::Dtype dtype) {
  const std::size_t rank = writing_rank(dtype);
  ERRATA_CHECK(
      rank < kDtypes.size(),
      ErrorCode::kUnsupported,
      "safetensors has no dtype for ",
      torch::toString(dtype));
  return std::string(kDtypes[rank].name);
}

bool written_before(const TensorEntry& a, const TensorEntry& b) {
  const std::size_t rank_a = writing_rank(a.dtype);
  const std::size_t rank_b = writing_rank(b.dtype);
  return rank_a != rank_b ? rank_a < rank_b : a.name < b.name;
}

SafetensorsHeader parse_safetensors_header(
    std::span<const std::byte> file, const std::string& where) {
  const std::string_view text = header_text(file, where);
  const Json document = parse_strictly(text, where);
  SafetensorsHeader header;
  header.data_start = kLengthField + text.size();
  const std::uint64_t data_size = file.size() - header.data_start;
  for (const auto& item : document.items()) {
    if (item.key() == "__metadata__") {
      header.metadata = parse_metadata(item.value(), where);
    } else {
      header.tensors.push_back(parse_entry(item.key(), item.value(), data_size, where));
    }
  }
  // Empty tensors share their offset with the next one and come first.
  std::sort(
      header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
        return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
      });
  check_cover(header, data_size, where);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  OrderedJson document = OrderedJson::object();
  if (!header.metadata.empty()) {
    OrderedJson& metadata = document["__metadata__"] = OrderedJson::object();
    for (const auto& [key, value] : header.metadata) {
      metadata[key] = value;
    }
  }
  for (const TensorEntry& entry : header.tensors) {
    document[entry.name] = {
        {"dtype", safetensors_dtype_name(entry.dtype)},
        {"shape", entry.shape},
        {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = document.dump();
  text.append((kLengthField - text.size() % kLengthField) % kLengthField, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthField, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + text;
}

} // namespace errata
