#include "archive/index_attributes.h"

#include <array>
#include <charconv>
#include <utility>

#include "archive/attributes.h"
#include "base/random.h"

namespace longhaul::archive {
namespace {

constexpr size_t kPartsMax = 10'000;

}  // namespace

Attribute Classify(std::string_view name) {
  using Kind = AttributeKind;
  static constexpr std::array kKinds{
      std::pair{kDeleteAttribute, Kind::kDelete},
      std::pair{kTagsOnlyAttribute, Kind::kTagsOnly},
      std::pair{kSegmentAttribute, Kind::kSegment},
      std::pair{kLinkAttribute, Kind::kLink},
      std::pair{kKeyAttribute, Kind::kKey},
      std::pair{kVersionAttribute, Kind::kVersion},
      std::pair{kMd5Attribute, Kind::kMd5},
      std::pair{kEtagAttribute, Kind::kEtag},
      std::pair{kPartsAttribute, Kind::kParts},
      std::pair{kClassAttribute, Kind::kClass},
      std::pair{kChecksumAttribute, Kind::kChecksum},
      std::pair{kLockAttribute, Kind::kLock},
      std::pair{kLegalHoldAttribute, Kind::kLegalHold},
  };
  Attribute attribute;
  for (const auto& [known, kind] : kKinds) {
    if (name == known) attribute.kind = kind;
  }
  for (const HeaderAttribute& header : kHeaderAttributes) {
    if (name == header.name) {
      attribute.kind = Kind::kHeader;
      attribute.header = header.field;
    }
  }
  if (name.starts_with(kMetadataPrefix)) {
    attribute.kind = Kind::kMetadata;
    attribute.name = name.substr(kMetadataPrefix.size());
  } else if (name.starts_with(kTagPrefix)) {
    attribute.kind = Kind::kTag;
    attribute.name = name.substr(kTagPrefix.size());
  }
  return attribute;
}

bool ReadNumber(std::string_view& text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

std::optional<size_t> ReadParts(std::string_view text, std::vector<uint64_t>* out) {
  size_t total = 0;
  while (true) {
    uint64_t size = 0;
    uint64_t count = 1;
    if (!ReadNumber(text, size)) return std::nullopt;
    if (text.starts_with('x')) {
      text.remove_prefix(1);
      if (!ReadNumber(text, count)) return std::nullopt;
    }
    if (count > kPartsMax || total + count > kPartsMax) return std::nullopt;
    total += count;
    if (out != nullptr) out->insert(out->end(), count, size);
    if (text.empty()) return total;
    if (!text.starts_with('+')) return std::nullopt;
    text.remove_prefix(1);
  }
}

std::optional<Segment> ReadSegment(std::string_view text) {
  Segment segment;
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || !IsUlid(text.substr(0, space))) return std::nullopt;
  segment.plan = text.substr(0, space);
  text.remove_prefix(space);
  auto number_after = [&text](std::string_view words, uint64_t& value) {
    if (!text.starts_with(words)) return false;
    text.remove_prefix(words.size());
    return ReadNumber(text, value);
  };
  uint64_t number = 0;
  uint64_t count = 0;
  uint64_t part = 0;
  if (!number_after(" ", number) || !number_after(" of ", count) ||
      !number_after(", byte ", segment.offset_bytes) ||
      !number_after(" of ", segment.object_size_bytes) || !number_after(", part ", part) ||
      !text.empty() || count == 0 || count > kSegmentsMax || number >= count || part == 0 ||
      part > kPartsMax || segment.offset_bytes > segment.object_size_bytes) {
    return std::nullopt;
  }
  segment.number = static_cast<uint32_t>(number);
  segment.count = static_cast<uint32_t>(count);
  segment.first_part = static_cast<uint32_t>(part);
  return segment;
}

std::optional<Checksum> ReadChecksum(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::string_view name = text.substr(0, space);
  Checksum checksum;
  checksum.value = text.substr(space + 1);
  if (name.ends_with(kCompositeSuffix)) {
    checksum.composite = true;
    name.remove_suffix(kCompositeSuffix.size());
  }
  for (const AlgorithmName& known : kAlgorithmNames) {
    if (known.name == name) {
      checksum.algorithm = known.algorithm;
      return checksum;
    }
  }
  return std::nullopt;
}

std::optional<ObjectLock> ReadLock(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view mode = text.substr(0, space);
  Result<SystemTime> until = ParseRfc3339(text.substr(space + 1));
  if ((mode != "GOVERNANCE" && mode != "COMPLIANCE") || !until) return std::nullopt;
  return ObjectLock{.mode = std::string(mode), .until = *until};
}

}  // namespace longhaul::archive
