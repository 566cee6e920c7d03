#include "core/base/hash.h"

#include "core/base/error.h"
#include "core/base/files.h"

#include <array>
#include <openssl/evp.h>

namespace errata {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  ERRATA_CHECK(
      state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
      ErrorCode::kInternal,
      "OpenSSL has no SHA-256");
}

Sha256::~Sha256() = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  ERRATA_CHECK(
      EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1,
      ErrorCode::kInternal,
      "SHA-256 failed");
  return *this;
}

Sha256& Sha256::update(std::string_view text) {
  return update(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Sha256::hex_digest() {
  std::array<unsigned char, 32> digest{};
  ERRATA_CHECK(
      EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1,
      ErrorCode::kInternal,
      "SHA-256 failed");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256(std::string_view text) {
  return Sha256().update(text).hex_digest();
}

std::string sha256_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return Sha256().update(file.bytes()).hex_digest();
}

std::uint64_t stable_hash(std::string_view text) {
  return std::stoull(sha256(text).substr(0, 16), nullptr, 16);
}

} // namespace errata
