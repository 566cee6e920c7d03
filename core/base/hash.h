#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace errata {

/// Incremental SHA-256 (OpenSSL).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text);
  /// 64 lower-case hexadecimal digits. The object takes no more input afterwards.
  std::string hex_digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::string_view text);

/// Digest of a file's content, read through a memory mapping.
std::string sha256_file(const std::filesystem::path& path);

/// A stable 64-bit hash (the first 8 bytes of SHA-256, big endian): the same on every machine, for
/// splits that must not move between versions.
std::uint64_t stable_hash(std::string_view text);

} // namespace errata
