// AwayStore: stands for a store of the configuration that cannot be opened, as a folder of a disk
// that is not mounted, where the others are of use without it. All that is asked of it fails.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace longhaul {

class AwayStore : public Store {
 public:
  // `error`: why, and what everything answers. `description`: as of Store::description.
  AwayStore(Error error, std::string description)
      : error_(std::move(error)), description_(std::move(description)) {}

  [[nodiscard]] Capabilities capabilities() const override { return {}; }
  [[nodiscard]] std::string description() const override { return description_; }

  Async<ListPage> List(ListRequest) override { return Fail<ListPage>(); }
  Async<ObjectInfo> Head(HeadRequest) override { return Fail<ObjectInfo>(); }
  Async<ObjectStream> Get(GetRequest, SystemTime*) override { return Fail<ObjectStream>(); }
  Async<PutResult> Put(PutRequest, ByteSource&) override { return Fail<PutResult>(); }
  Async<MultipartUpload> CreateMultipart(PutRequest) override { return Fail<MultipartUpload>(); }
  Async<UploadedPart> UploadPart(const MultipartUpload&, int, ByteSource&) override {
    return Fail<UploadedPart>();
  }
  Async<std::vector<UploadedPart>> ListParts(const MultipartUpload&) override {
    return Fail<std::vector<UploadedPart>>();
  }
  Async<PutResult> CompleteMultipart(CompleteRequest) override { return Fail<PutResult>(); }
  Async<void> AbortMultipart(const MultipartUpload&) override { return Fail<void>(); }
  Async<std::vector<MultipartUpload>> ListMultipartUploads(std::string, std::string) override {
    return Fail<std::vector<MultipartUpload>>();
  }
  Async<PutResult> Copy(CopyRequest) override { return Fail<PutResult>(); }
  Async<void> Remove(RemoveRequest) override { return Fail<void>(); }
  Async<std::vector<RemoveFailure>> RemoveMany(std::string, std::vector<RemoveRequest>) override {
    return Fail<std::vector<RemoveFailure>>();
  }
  Async<Tags> GetTags(std::string, std::string, std::string) override { return Fail<Tags>(); }
  Async<void> PutTags(std::string, std::string, Tags) override { return Fail<void>(); }
  Async<void> HeadBucket(std::string) override { return Fail<void>(); }
  Async<void> CreateBucket(std::string) override { return Fail<void>(); }
  Async<void> RemoveBucket(std::string) override { return Fail<void>(); }
  Async<std::vector<BucketInfo>> ListBuckets() override { return Fail<std::vector<BucketInfo>>(); }
  Async<bool> GetVersioning(std::string) override { return Fail<bool>(); }
  Async<void> SetVersioning(std::string, bool) override { return Fail<void>(); }

 private:
  template <class T>
  Async<T> Fail() {
    co_return error_;
  }

  Error error_;
  std::string description_;
};

}  // namespace longhaul
