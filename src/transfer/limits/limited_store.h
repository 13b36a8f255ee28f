// LimitedStore: another store, slowed down: so many bytes a second out of it, so many requests.
//
// Bytes are counted where they are read, so one wrapped source slows a whole copy; what a server
// copies by itself is not counted. Requests are counted as operations of Store: a retry inside the
// store is not one more.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "storage/adopt_multipart.h"
#include "storage/left_out_folders.h"
#include "storage/left_out_links.h"
#include "storage/makes_durable.h"
#include "storage/part_rules.h"
#include "storage/placed_parts.h"
#include "storage/store.h"
#include "transfer/limits/bandwidth.h"

namespace longhaul {

// Shared by all stores of a run. Belongs to one shard.
struct TransferLimits {
  explicit TransferLimits(Clock& clock, Event* stop = nullptr)
      : clock(clock), bytes(clock, stop), requests(clock, stop) {}

  Clock& clock;
  BandwidthTable bandwidth;
  double requests_per_second = 0;  // 0: no limit.
  Pace bytes;
  Pace requests;

  asio::awaitable<void> Request() { co_await requests.Take(1, requests_per_second); }
};

class LimitedStore : public Store,
                     public AdoptsMultipart,
                     public HasPartRules,
                     public HasPlacedParts,
                     public LeavesOutFolders,
                     public LeavesOutLinks,
                     public MakesDurable,
                     public PlacesParts {
 public:
  // Both are borrowed.
  LimitedStore(Store& store, TransferLimits& limits) : store_(store), limits_(limits) {}

  [[nodiscard]] Capabilities capabilities() const override { return store_.capabilities(); }
  void UseProbed(const Capabilities& probed) override { store_.UseProbed(probed); }
  [[nodiscard]] std::string description() const override { return store_.description(); }
  [[nodiscard]] PartRules part_rules() const override { return PartRulesOf(store_); }
  [[nodiscard]] bool part_etags_opaque(const MultipartUpload& upload) const override {
    return PartEtagsOpaque(store_, upload);
  }
  [[nodiscard]] uint64_t links_left_out(const std::string& bucket) const override {
    return LinksLeftOut(store_, bucket);
  }
  void LeaveOutUnreadable(const std::string& bucket, const std::string& prefix) override {
    longhaul::LeaveOutUnreadable(store_, bucket, prefix);
  }
  std::vector<LeftOutFolder> TakeUnreadable(const std::string& bucket,
                                            const std::string& prefix) override {
    return longhaul::TakeUnreadable(store_, bucket, prefix);
  }
  Async<void> MakeDurable(std::string bucket, std::string key) override {
    return longhaul::MakeDurable(store_, std::move(bucket), std::move(key));
  }
  Async<void> MakeAllDurable(std::string bucket) override {
    return longhaul::MakeAllDurable(store_, std::move(bucket));
  }

  Async<ListPage> List(ListRequest request) override;
  Async<ObjectInfo> Head(HeadRequest request) override;
  Async<ObjectStream> Get(GetRequest request, SystemTime* absent_at = nullptr) override;
  Async<PutResult> Put(PutRequest request, ByteSource& body) override;
  Async<MultipartUpload> CreateMultipart(PutRequest request) override;
  void Adopt(const MultipartUpload& upload, const PutRequest& request) override {
    AdoptMultipart(store_, upload, request);
  }
  [[nodiscard]] PlacesParts* placed_parts() override {
    return PlacedPartsOf(store_) != nullptr ? this : nullptr;
  }
  Async<PlacedUpload> OpenPlaced(PutRequest request, PartPlaces places) override;
  void Leave(const MultipartUpload& upload) override { PlacedPartsOf(store_)->Leave(upload); }
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

 private:
  Store& store_;
  TransferLimits& limits_;
};

}  // namespace longhaul
