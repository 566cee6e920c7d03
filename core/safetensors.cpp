#include "core/safetensors.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/safetensors_header.h"

#include <algorithm>
#include <set>
#include <span>

namespace errata {
namespace {

struct Written {
  TensorEntry entry;
  torch::Tensor tensor;
};

torch::Dtype written_dtype(const torch::Tensor& tensor, std::optional<torch::Dtype> wanted) {
  return wanted && tensor.is_floating_point() ? *wanted : tensor.scalar_type();
}

} // namespace

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& path) : file(path, Mapping::kCopyOnWrite) {
    SafetensorsHeader header = parse_safetensors_header(file.bytes(), path.string());
    data = file.bytes().subspan(static_cast<std::size_t>(header.data_start));
    metadata = std::move(header.metadata);
    for (TensorEntry& entry : header.tensors) {
      entries.emplace(entry.name, std::move(entry));
    }
  }

  const TensorEntry& find(const std::string& name) const {
    const auto place = entries.find(name);
    ERRATA_CHECK(
        place != entries.end(),
        ErrorCode::kNotFound,
        file.path().string(),
        ": no tensor '",
        name,
        "'");
    return place->second;
  }

  MappedFile file;
  std::span<const std::byte> data;
  std::map<std::string, TensorEntry> entries;
  std::map<std::string, std::string> metadata;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : state_(std::make_shared<State>(path)) {}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(state_->entries.size());
  for (const auto& [name, entry] : state_->entries) {
    names.push_back(name);
  }
  return names;
}

bool SafetensorsFile::has(const std::string& name) const {
  return state_->entries.contains(name);
}

torch::Dtype SafetensorsFile::dtype(const std::string& name) const {
  return state_->find(name).dtype;
}

std::vector<std::int64_t> SafetensorsFile::shape(const std::string& name) const {
  return state_->find(name).shape;
}

const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return state_->metadata;
}

const std::filesystem::path& SafetensorsFile::path() const {
  return state_->file.path();
}

torch::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorEntry& entry = state_->find(name);
  const auto options = torch::TensorOptions().dtype(entry.dtype);
  const auto bytes = state_->data.subspan(
      static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(entry.end - entry.begin));
  if (bytes.empty()) {
    return torch::empty(entry.shape, options);
  }
  const std::size_t width = torch::elementSize(entry.dtype);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % width != 0) {
    torch::Tensor copy = torch::empty(entry.shape, options);
    std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(copy.data_ptr()));
    return copy;
  }
  return torch::from_blob(
      const_cast<std::byte*>(bytes.data()), entry.shape, [keep = state_](void*) {}, options);
}

void save_safetensors(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
    std::map<std::string, std::string> metadata,
    std::optional<torch::Dtype> dtype) {
  std::vector<Written> order;
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    ERRATA_CHECK(
        names.insert(name).second && name != "__metadata__",
        ErrorCode::kInternal,
        path.string(),
        ": tensor name '",
        name,
        "' is given twice or reserved");
    order.push_back({{name, written_dtype(tensor, dtype), tensor.sizes().vec(), 0, 0}, tensor});
  }
  std::sort(order.begin(), order.end(), [](const Written& a, const Written& b) {
    return written_before(a.entry, b.entry);
  });
  SafetensorsHeader header;
  metadata.emplace("format", "pt");
  header.metadata = std::move(metadata);
  std::uint64_t place = 0;
  for (Written& item : order) {
    item.entry.begin = place;
    place += static_cast<std::uint64_t>(item.tensor.numel()) * torch::elementSize(item.entry.dtype);
    item.entry.end = place;
    header.tensors.push_back(item.entry);
  }
  AtomicFile file(path);
  file.write(format_safetensors_header(header));
  for (const Written& item : order) {
    const torch::Tensor flat = item.tensor.detach().to(torch::kCPU, item.entry.dtype).contiguous();
    file.write(std::as_bytes(std::span(
        static_cast<const char*>(flat.data_ptr()),
        static_cast<std::size_t>(item.entry.end - item.entry.begin))));
  }
  file.commit();
}

} // namespace errata
