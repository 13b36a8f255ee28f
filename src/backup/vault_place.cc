#include "backup/vault_place.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/random.h"

namespace longhaul::backup {

namespace {

constexpr std::string_view kCatalogFolder = "longhaul-catalog/";
constexpr std::string_view kArchiveEnd = ".tar.zst";
constexpr std::string_view kCatalogEnd = ".jsonl.zst";

std::optional<VaultName> NameOf(std::string_view path, std::string_view end) {
  if (!path.ends_with(end)) return std::nullopt;
  path.remove_suffix(end.size());
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || !IsUlid(path.substr(slash + 1))) return std::nullopt;
  return VaultName{.folder = std::string(path.substr(0, slash + 1)),
                   .ulid = std::string(path.substr(slash + 1))};
}

}  // namespace

SystemTime TimeOfUlid(std::string_view ulid) {
  constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  LH_CHECK(IsUlid(ulid));
  int64_t millis = 0;
  for (char c : ulid.substr(0, 10)) millis = millis * 32 + static_cast<int64_t>(kCrockford.find(c));
  return SystemTime(std::chrono::milliseconds(millis));
}

std::string VaultFolder(const Address& source, BackupOptions::Partition partition,
                        std::string_view ulid) {
  const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(TimeOfUlid(ulid))};
  std::string folder = source.bucket + "/" + source.prefix;
  if (!folder.ends_with('/')) folder += '/';
  folder += fmt::format("year={:04}/month={:02}/", static_cast<int>(date.year()),
                        static_cast<unsigned>(date.month()));
  if (partition == BackupOptions::Partition::kDaily) {
    folder += fmt::format("day={:02}/", static_cast<unsigned>(date.day()));
  }
  return folder;
}

std::string VaultPrefix(const VaultPlace& vault, std::string_view source_bucket, bool catalogs) {
  std::string prefix = vault.prefix;
  if (catalogs) prefix += kCatalogFolder;
  if (!source_bucket.empty()) prefix.append(source_bucket).append("/");
  return prefix;
}

std::string VaultArchiveKey(const VaultPlace& vault, const VaultName& name) {
  return vault.prefix + name.folder + name.ulid + std::string(kArchiveEnd);
}

std::string VaultCatalogKey(const VaultPlace& vault, const VaultName& name) {
  return vault.prefix + std::string(kCatalogFolder) + name.folder + name.ulid +
         std::string(kCatalogEnd);
}

std::optional<VaultName> ArchiveOfKey(const VaultPlace& vault, std::string_view key) {
  if (!key.starts_with(vault.prefix)) return std::nullopt;
  return NameOf(key.substr(vault.prefix.size()), kArchiveEnd);
}

std::optional<VaultName> CatalogOfKey(const VaultPlace& vault, std::string_view key) {
  if (!key.starts_with(vault.prefix)) return std::nullopt;
  key.remove_prefix(vault.prefix.size());
  if (!key.starts_with(kCatalogFolder)) return std::nullopt;
  return NameOf(key.substr(kCatalogFolder.size()), kCatalogEnd);
}

}  // namespace longhaul::backup
