#include "backup/vault_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul::backup {

namespace {

// kCorrupt: an index says more than its frame has.
Result<std::span<const std::byte>> BytesOf(const ArchiveFrame& frame, const ContentPiece& piece) {
  const std::span<const std::byte> bytes = frame.bytes();
  if (piece.offset_bytes > bytes.size() || piece.size_bytes > bytes.size() - piece.offset_bytes) {
    return Corrupt("its content goes beyond the end of frame " + std::to_string(piece.frame));
  }
  return bytes.subspan(piece.offset_bytes, piece.size_bytes);
}

// The bytes of extents, frame by frame. Between two reads it holds the frame that it is in; before
// the first and after the last byte none.
class VaultBytes : public ByteReader {
 public:
  VaultBytes(VaultArchives& archives, std::string key, std::vector<VaultStore::Extent> extents,
             uint64_t offset_bytes, uint64_t length_bytes)
      : archives_(archives),
        key_(std::move(key)),
        extents_(std::move(extents)),
        skip_bytes_(offset_bytes),
        left_bytes_(length_bytes) {}

  Async<size_t> Read(std::span<std::byte> out) override {
    if (left_bytes_ == 0) co_return 0;
    Result<std::span<const std::byte>> ready = co_await Ready();
    if (!ready) co_return ready.error().In(key_);
    const size_t count = std::min({out.size(), ready->size(), static_cast<size_t>(left_bytes_)});
    std::memcpy(out.data(), ready->data(), count);
    in_piece_bytes_ += count;
    left_bytes_ -= count;
    if (left_bytes_ == 0 || in_piece_bytes_ == pieces_[piece_].size_bytes) frame_.reset();
    co_return count;
  }

 private:
  // What follows, as far as it lies in one frame; never empty.
  Async<std::span<const std::byte>> Ready() {
    while (true) {
      if (!pieces_.empty() && in_piece_bytes_ == pieces_[piece_].size_bytes) {
        in_piece_bytes_ = 0;
        if (++piece_ == pieces_.size()) pieces_.clear();
      }
      if (pieces_.empty()) {
        Result<void> next = co_await NextExtent();
        if (!next) co_return next.error();
        continue;
      }
      ContentPiece& piece = pieces_[piece_];
      const uint64_t skip = std::min(skip_bytes_, piece.size_bytes - in_piece_bytes_);
      skip_bytes_ -= skip;
      in_piece_bytes_ += skip;
      if (in_piece_bytes_ == piece.size_bytes) continue;
      if (frame_ == nullptr) {
        Result<VaultArchives::Frame> frame =
            co_await archives_.ReadFrame(name_, piece.frame, archive_etag_);
        if (!frame) co_return frame.error();
        frame_ = std::move(*frame);
      }
      Result<std::span<const std::byte>> bytes = BytesOf(*frame_, piece);
      if (!bytes) co_return bytes.error();
      co_return bytes->subspan(in_piece_bytes_);
    }
  }

  Async<void> NextExtent() {
    while (extent_ < extents_.size() && extents_[extent_].size_bytes <= skip_bytes_) {
      skip_bytes_ -= extents_[extent_++].size_bytes;
    }
    if (extent_ == extents_.size()) co_return Corrupt("the archives hold less than they say");
    const VaultStore::Extent& extent = extents_[extent_++];
    Result<VaultArchives::Entry> found = co_await archives_.Find(extent.place);
    if (!found) co_return found.error();
    // What the object was described by.
    if (found->archive_etag != extent.archive_etag) {
      co_return PreconditionFailed("its archive was written anew while it was read");
    }
    name_ = extent.place.name;
    archive_etag_ = std::move(found->archive_etag);
    pieces_ = std::move(found->pieces);
    piece_ = 0;
    in_piece_bytes_ = 0;
    co_return Ok();
  }

  VaultArchives& archives_;
  std::string key_;
  std::vector<VaultStore::Extent> extents_;
  size_t extent_ = 0;    // The next one.
  uint64_t skip_bytes_;  // Before the next byte that is wanted.
  uint64_t left_bytes_;
  VaultName name_;
  std::string archive_etag_;
  std::vector<ContentPiece> pieces_;
  size_t piece_ = 0;
  uint64_t in_piece_bytes_ = 0;
  VaultArchives::Frame frame_;
};

// "<ULID>.<entry>+<stamp>@<folder>": a version with the stamp that its catalog says.
class WithStamps : public Listing {
 public:
  explicit WithStamps(std::unique_ptr<Listing> versions) : versions_(std::move(versions)) {}

  Async<std::optional<ListedObject>> Next() override {
    Result<std::optional<ListedObject>> next = co_await versions_->Next();
    if (next && *next) {
      ListedObject& version = **next;
      version.version_id.insert(version.version_id.find('@'),
                                "+" + FormatRfc3339(version.last_modified));
    }
    co_return next;
  }
  asio::awaitable<void> Close() override { co_await versions_->Close(); }

 private:
  std::unique_ptr<Listing> versions_;
};

// Empty: it has none.
std::string StampIn(const std::string& version_id) {
  const size_t at = version_id.find('@');
  const size_t plus = version_id.find('+');
  if (at == std::string::npos || plus == std::string::npos || plus > at) return "";
  return version_id.substr(plus + 1, at - plus - 1);
}

}  // namespace

std::string WithoutStamp(std::string version_id) {
  const std::string stamp = StampIn(version_id);
  if (!stamp.empty()) version_id.erase(version_id.find('+'), stamp.size() + 1);
  return version_id;
}

VaultStore::VaultStore(Runtime runtime, Store& store, VaultPlace vault, std::string bucket,
                       VaultArchives::Options options)
    : runtime_(runtime),
      store_(store),
      vault_(vault),
      bucket_(std::move(bucket)),
      seal_keys_(options.seal_keys),
      archives_(runtime, store, std::move(vault), std::move(options)) {}

SegmentsTold VaultStore::NoteSegments() {
  return [this](const std::string& version_id, std::vector<std::string> segments) {
    segments_[version_id] = std::move(segments);
  };
}

std::unique_ptr<Listing> VaultStore::OpenAt(std::string prefix, SystemTime at,
                                            CatalogTroubles& troubles,
                                            std::function<void(const std::string& what)> told) {
  return std::make_unique<WithStamps>(OpenVaultListing(runtime_,
                                                       {.store = &store_,
                                                        .vault = vault_,
                                                        .source_bucket = bucket_,
                                                        .prefix = std::move(prefix),
                                                        .seal_keys = seal_keys_},
                                                       at, troubles, std::move(told),
                                                       NoteSegments()));
}

std::unique_ptr<Listing> VaultStore::OpenVersions(
    std::string prefix, CatalogTroubles& troubles,
    std::function<void(const std::string& what)> told) {
  return OpenVaultHistory(runtime_,
                          {.store = &store_,
                           .vault = vault_,
                           .source_bucket = bucket_,
                           .prefix = std::move(prefix),
                           .seal_keys = seal_keys_},
                          troubles, std::move(told), NoteSegments());
}

std::vector<std::string> VaultStore::ArchiveKeys(const std::string& version_id) const {
  std::vector<std::string> keys;
  const auto add = [&](const std::string& id) {
    Result<VersionPlace> place = ParseVersion(id);
    if (place) keys.push_back(VaultArchiveKey(vault_, place->name));
  };
  const std::string plain = WithoutStamp(version_id);
  const auto told = segments_.find(plain);
  if (told == segments_.end()) {
    add(plain);
  } else {
    std::ranges::for_each(told->second, add);
  }
  return keys;
}

std::string VaultStore::description() const {
  return "the backup in " + vault_.bucket + "/" + vault_.prefix + " of " + store_.description();
}

Async<VaultArchives::Entry> VaultStore::FindPut(const std::string& key,
                                                const std::string& version_id) {
  Result<VersionPlace> place = ParseVersion(version_id);
  if (!place) co_return place.error();
  Result<VaultArchives::Entry> found = co_await archives_.Find(*place);
  if (!found) {
    // An archive that is gone is not an object that is not there.
    if (found.error().kind == ErrorKind::kNotFound) co_return Corrupt(found.error().message);
    co_return found.error();
  }
  if (found->entry.key.empty()) {
    co_return Corrupt("it lies in a damaged frame of " + VaultArchiveKey(vault_, place->name));
  }
  if (found->entry.key != key || found->entry.op != EntryOp::kPut) {
    co_return Corrupt("the catalog says that it is entry " + std::to_string(place->entry) + " of " +
                      VaultArchiveKey(vault_, place->name) + ", and the archive does not");
  }
  co_return found;
}

// Objects so small that their archive leaves out what follows from the bytes.
Async<std::string> VaultStore::Md5Of(const VersionPlace& place, const VaultArchives::Entry& found) {
  std::unique_ptr<Hasher> hasher = NewHasher(HashKind::kMd5);
  for (const ContentPiece& piece : found.pieces) {
    Result<VaultArchives::Frame> frame =
        co_await archives_.ReadFrame(place.name, piece.frame, found.archive_etag);
    if (!frame) co_return frame.error();
    Result<std::span<const std::byte>> bytes = BytesOf(**frame, piece);
    if (!bytes) co_return bytes.error();
    hasher->Update(*bytes);
  }
  co_return HexEncode(hasher->Finish());
}

Async<std::shared_ptr<const VaultStore::Object>> VaultStore::Describe(std::string key,
                                                                      std::string version_id) {
  if (version_id.empty()) {
    version_id = Remembered(key);
    if (version_id.empty()) co_return NotFound("there is no " + key, "NoSuchKey");
  }
  if (auto giant = giants_.find(version_id); giant != giants_.end()) co_return giant->second;
  const std::string plain = WithoutStamp(version_id);
  Result<VaultArchives::Entry> found = co_await FindPut(key, plain);
  if (!found) co_return found.error().In(key);
  const VersionPlace place = *ParseVersion(plain);
  const ArchiveEntry& entry = found->entry;
  // By it the catalog has put it before all other states of the object.
  const std::string stamp = StampIn(version_id);
  if (!stamp.empty() && stamp != FormatRfc3339(entry.stamp)) {
    co_return Corrupt(key + ": the catalog says that it was read at " + stamp + ", and " +
                      VaultArchiveKey(vault_, place.name) + " that it was at " +
                      FormatRfc3339(entry.stamp));
  }
  auto object = std::make_shared<Object>();
  ObjectInfo& info = object->info;
  info.size_bytes = entry.segment ? entry.segment->object_size_bytes : entry.size_bytes;
  info.etag = entry.etag;
  if (entry.etag_is_md5 && entry.etag.empty()) {
    Result<std::string> md5 = co_await Md5Of(place, *found);
    if (!md5) co_return md5.error().In(key);
    info.etag = std::move(*md5);
  } else if (entry.etag.empty()) {
    // Something to pin its parts by.
    info.etag = plain.substr(0, plain.find('@'));
    info.etag_opaque = true;
  } else if (entry.size_bytes < kDerivedSizeBytes && !entry.etag_is_md5 && !entry.segment) {
    info.etag_opaque = IsPlainMd5Etag(entry.etag);
  }
  info.version_id = version_id;
  info.last_modified = entry.stamp;
  info.storage_class = entry.storage_class;
  info.headers = entry.headers;
  info.metadata = entry.metadata;
  info.tag_count = static_cast<int>(entry.tags.size());
  if (entry.checksum) info.checksums.push_back(*entry.checksum);
  object->tags = entry.tags;
  object->part_sizes = entry.part_sizes;
  if (!entry.segment) {
    object->extents.push_back(
        {.place = place, .size_bytes = entry.size_bytes, .archive_etag = found->archive_etag});
    co_return object;
  }
  auto told = segments_.find(plain);
  if (told == segments_.end()) co_return Corrupt(key + ": its other segments are not known");
  object->part_sizes.clear();
  uint64_t offset = 0;
  for (const std::string& id : std::vector(told->second)) {
    Result<VaultArchives::Entry> segment = co_await FindPut(key, id);
    if (!segment) co_return segment.error().In(key);
    const ArchiveEntry& part = segment->entry;
    if (!part.segment || part.segment->plan != entry.segment->plan ||
        part.segment->offset_bytes != offset ||
        part.segment->object_size_bytes != info.size_bytes) {
      co_return Corrupt(key + ": segment " + std::to_string(object->extents.size() + 1) + " of " +
                        std::to_string(entry.segment->count) + " is not what its catalog says");
    }
    offset += part.size_bytes;
    std::ranges::copy(part.part_sizes, std::back_inserter(object->part_sizes));
    object->extents.push_back({.place = *ParseVersion(id),
                               .size_bytes = part.size_bytes,
                               .archive_etag = segment->archive_etag});
  }
  if (offset != info.size_bytes) co_return Corrupt(key + ": its segments are not all of it");
  giants_[version_id] = object;
  co_return object;
}

Async<ObjectInfo> VaultStore::Head(HeadRequest request) {
  auto object = co_await Describe(request.key, request.version_id);
  if (!object) co_return object.error();
  ObjectInfo info = (*object)->info;
  info.server_time = runtime_.clock.Now();
  if (request.part_number) {
    const std::vector<uint64_t>& sizes = (*object)->part_sizes;
    const auto number = static_cast<size_t>(*request.part_number);
    if (!sizes.empty() && number >= 1 && number <= sizes.size()) {
      info.size_bytes = sizes[number - 1];
      info.part_count = static_cast<int>(sizes.size());
    }
  }
  co_return info;
}

Async<ObjectStream> VaultStore::Get(GetRequest request, SystemTime* /*absent_at*/) {
  auto object = co_await Describe(request.key, request.version_id);
  if (!object) co_return object.error();
  ObjectStream stream{.info = (*object)->info};
  stream.info.server_time = runtime_.clock.Now();
  Result<void> ranged = SetRange(request, stream);
  if (!ranged) co_return ranged.error();
  stream.body = std::make_unique<VaultBytes>(archives_, request.key, (*object)->extents,
                                             stream.offset_bytes, stream.length_bytes);
  co_return stream;
}

Async<Tags> VaultStore::GetTags(std::string /*bucket*/, std::string key, std::string version_id) {
  auto object = co_await Describe(std::move(key), std::move(version_id));
  if (!object) co_return object.error();
  co_return (*object)->tags;
}

}  // namespace longhaul::backup
