// CachingStore: a bucket of a source, read through a cache. The gateway serves it.
//
// It shows one bucket, the source's, under its name. Objects whose copy is there are read from the
// cache; others from the source, and the whole object is copied to the cache meanwhile (by the
// server, where both are buckets of one store). Whatever is wrong with a copy, the source is read;
// by the next reader, where only the end of the bytes told. Those of ranges are not verified.
// Listings, versions, tags and parts come from the source.
//
// What an answer says of an object (ETag, LastModified where it is known) is what the source said
// of it. With `strict` the source is asked for its ETag first, and a copy of another one is never
// served. Without, a copy is served until its time to live ends, or somebody says that the source
// has changed (KeyFiller::Invalidate): a row counts for as long as it was read, at most a second.
//
// Writes are refused, or with `writes` go to the source: the copy counts no more before the write
// is sent, and again after it. What is copied within the bucket, and what conditions of writes are
// judged by, is the source's object (storage/origin.h).

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cache/fill_key.h"
#include "storage/origin.h"
#include "storage/store.h"

namespace longhaul::cache {

struct CachingOptions {
  bool strict = false;
  bool writes = false;
  int fills_max = 16;  // At once; of further misses up to `waiting_max` wait for their turn.
  int waiting_max = 1000;
};

struct CachingCounts {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t hit_bytes = 0;  // Asked for; a reader may go away early.
  int64_t skipped = 0;    // Misses that were not copied: too many waited.
};

class CachingStore : public Store, public HasOrigin {
 public:
  // Borrowed. `filler`: of this source and cache, begun.
  CachingStore(Runtime runtime, Store& source, KeyFiller& filler, CachingOptions options);
  // Ends what is being filled; before it is destroyed.
  asio::awaitable<void> Stop();

  [[nodiscard]] const CachingCounts& counts() const { return counts_; }

  // The source's, without conditions of writes that nobody has proven: whoever asks for one must be
  // told, and not find out.
  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string description() const override;
  Async<ListPage> List(ListRequest request) override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<ObjectInfo> HeadOrigin(HeadRequest request) override;
  Async<ObjectStream> GetOrigin(GetRequest request) override;
  Async<PutResult> Put(PutRequest request, ByteSource& body) override;
  Async<MultipartUpload> CreateMultipart(PutRequest request) override;
  Async<UploadedPart> UploadPart(const MultipartUpload& upload, int number,
                                 ByteSource& body) override;
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload& upload) override;
  Async<PutResult> CompleteMultipart(CompleteRequest request) override;
  Async<void> AbortMultipart(const MultipartUpload& upload) override;
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string bucket,
                                                           std::string prefix) override;
  Async<UploadedPart> CopyPart(const MultipartUpload& upload, int number,
                               CopyPartRequest request) override;
  Async<PutResult> Copy(CopyRequest request) override;
  Async<void> Remove(RemoveRequest request) override;
  Async<std::vector<RemoveFailure>> RemoveMany(std::string bucket,
                                               std::vector<RemoveRequest> requests) override;
  Async<Tags> GetTags(std::string bucket, std::string key, std::string version_id) override;
  Async<void> PutTags(std::string bucket, std::string key, Tags tags) override;
  Async<void> HeadBucket(std::string bucket) override;
  Async<void> CreateBucket(std::string bucket) override;
  Async<void> RemoveBucket(std::string bucket) override;
  Async<std::vector<BucketInfo>> ListBuckets() override;
  Async<bool> GetVersioning(std::string bucket) override;
  Async<void> SetVersioning(std::string bucket, bool enabled) override;

  // Events of the source have said that the key has changed; rows that were read count no more.
  void Forget(const std::string& key) {
    rows_.erase(key);
    ++rows_dropped_;
  }

 private:
  struct Known {
    SteadyTime read{};
    std::optional<EntryRow> row;
  };
  class CopyReader;
  // A copy that may be served now.
  struct Hit {
    EntryRow row;
    std::optional<ObjectInfo> source;  // With `strict`: as it is now.
  };
  Async<std::optional<Hit>> Find(std::string key);
  Async<std::optional<EntryRow>> Row(std::string key);
  [[nodiscard]] ObjectInfo AsSource(ObjectInfo info, const Entry& entry) const;
  void FillLater(const std::string& key, const ObjectInfo& found);
  // The key, and then what waits, until nothing does.
  Async<void> FillOn(std::string key, SourceState found);
  Result<void> MayRead(const std::string& bucket) const;
  Result<void> MayWrite(const std::string& bucket) const;
  Async<void> Invalidate(std::string key);
  // Runs a write between two invalidations of `key`.
  template <class T>
  Async<T> Written(std::string bucket, std::string key, Async<T> write);
  // The second one, where State did not take it: until it does, or the store stops.
  Async<void> KeepInvalidating(std::string key);
  // Until EndWrite no copy of the key is served or made. Not OK: it has ended.
  Async<void> BeginWrite(std::string key);
  Async<void> EndWrite(std::string key);

  Runtime runtime_;
  Store& source_;
  KeyFiller& filler_;
  CachingOptions options_;
  CachingCounts counts_;
  std::map<std::string, Known> rows_;
  uint64_t rows_dropped_ = 0;  // How often one of them has been found to be old.
  std::map<std::string, SourceState> waiting_;
  int filling_ = 0;
  bool stopping_ = false;
  TaskGroup fills_;
};

}  // namespace longhaul::cache
