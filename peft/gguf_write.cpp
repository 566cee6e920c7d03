#include "core/base/error.h"
#include "peft/gguf_file.h"

#include <string_view>
#include <type_traits>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 63; // llama.cpp keeps names in 64 bytes

class GgufBuffer {
 public:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes_ += value;
  }
  void raw(std::string_view value) { bytes_ += value; }
  void pad(std::uint64_t alignment) { bytes_.resize(gguf_padded(bytes_.size(), alignment), '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

void append_value(GgufBuffer& out, const GgufValue& value) {
  out.number(static_cast<std::uint32_t>(value.index()));
  std::visit(
      [&](const auto& held) {
        using Value = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          out.text(held);
        } else if constexpr (std::is_same_v<Value, GgufArray>) {
          out.number(held.type);
          out.number(held.count);
          out.raw(held.elements);
        } else if constexpr (std::is_same_v<Value, bool>) {
          out.number<std::uint8_t>(held ? 1 : 0);
        } else {
          out.number(held);
        }
      },
      value);
}

} // namespace

void write_gguf(
    const fs::path& path,
    const std::vector<std::pair<std::string, GgufValue>>& values,
    const std::vector<GgufTensor>& tensors) {
  GgufBuffer header;
  header.raw(kGgufMagic);
  header.number(kGgufVersion);
  header.number<std::uint64_t>(tensors.size());
  header.number<std::uint64_t>(values.size());
  for (const auto& [key, value] : values) {
    header.text(key);
    append_value(header, value);
  }
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    ERRATA_CHECK(
        tensor.name.size() <= kLongestName,
        ErrorCode::kUnsupported,
        "GGUF tensor name '",
        tensor.name,
        "' has ",
        tensor.name.size(),
        " bytes; llama.cpp reads at most ",
        kLongestName);
    header.text(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      header.number(*size);
    }
    header.number(static_cast<std::uint32_t>(tensor.type));
    header.number(offset);
    offset += gguf_padded(tensor.bytes.size(), kGgufAlignment);
  }
  header.pad(kGgufAlignment);
  AtomicFile file(path);
  file.write(header.bytes());
  const std::string zeros(kGgufAlignment, '\0');
  for (const GgufTensor& tensor : tensors) {
    file.write(tensor.bytes);
    file.write(std::string_view(zeros).substr(
        0, gguf_padded(tensor.bytes.size(), kGgufAlignment) - tensor.bytes.size()));
  }
  file.commit();
}

} // namespace errata::peft
