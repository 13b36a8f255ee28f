// Multipart uploads: how everything large is written.

#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/conformance/store_suite.h"

namespace longhaul::testing {

MultipartUpload StoreSuite::Begin(PutRequest request) {
  Result<MultipartUpload> upload = Run(store_.CreateMultipart(std::move(request)));
  EXPECT_TRUE(upload) << upload.error().Describe();
  return upload ? *upload : MultipartUpload();
}

namespace {

Async<UploadedPart> PutPart(Store& store, const MultipartUpload& upload, int number,
                            const std::string& bytes) {
  MemorySource source{std::string_view(bytes)};
  co_return co_await store.UploadPart(upload, number, source);
}

}  // namespace

UploadedPart StoreSuite::Part(const MultipartUpload& upload, int number, const std::string& bytes) {
  Result<UploadedPart> part = Run(PutPart(store_, upload, number, bytes));
  EXPECT_TRUE(part) << part.error().Describe();
  return part ? *part : UploadedPart();
}

namespace {

std::string MultipartEtag(const std::vector<std::string>& parts) {
  std::string digests;
  for (const std::string& part : parts) digests += Md5(part);
  return HexEncode(Md5(digests)) + "-" + std::to_string(parts.size());
}

size_t PartSize(const Capabilities& can) {
  return static_cast<size_t>(std::max<uint64_t>(can.part_size_bytes_min, 100'000));
}

}  // namespace

// What lies in the store already becomes parts of another object.
TEST_P(StoreSuite, PartsAreCopied) {
  const size_t size = PartSize(can_);
  const std::string bytes = Bytes(2 * size + 10, 4);
  const std::string etag = Put("copied/from a+b", bytes).etag;
  PutRequest request = At("copied/to");
  request.metadata = {{"a", "1"}};
  request.parts_copied = true;
  MultipartUpload upload = Begin(request);
  std::vector<UploadedPart> parts;
  for (size_t offset = 0; offset < bytes.size(); offset += size) {
    CopyPartRequest copy{
        .source_bucket = bucket_,
        .source_key = "copied/from a+b",
        .source_version_id = "",
        .source_if_match = etag,
        .range = {.offset_bytes = offset, .size_bytes = std::min(size, bytes.size() - offset)}};
    Result<UploadedPart> part =
        Run(store_.CopyPart(upload, static_cast<int>(parts.size()) + 1, std::move(copy)));
    ASSERT_TRUE(part) << part.error().Describe();
    parts.push_back(*part);
  }
  Result<PutResult> done = Run(store_.CompleteMultipart({.upload = upload, .parts = parts}));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->etag, MultipartEtag({bytes.substr(0, size), bytes.substr(size, size),
                                       bytes.substr(2 * size)}));
  EXPECT_TRUE(Read("copied/to") == bytes);
  EXPECT_EQ(Head("copied/to").metadata, request.metadata);
}

// A part of what is not there any more is refused, or taken from what is there: nobody may rely on
// the condition (CopyPartRequest). But it is never made up.
TEST_P(StoreSuite, PartsOfWhatIsGoneAreNotCopied) {
  const std::string etag = Put("from", Bytes(1000, 5)).etag;
  PutRequest request = At("to");
  request.parts_copied = true;
  MultipartUpload upload = Begin(request);
  CopyPartRequest copy{.source_bucket = bucket_,
                       .source_key = "from",
                       .source_version_id = "",
                       .source_if_match = etag,
                       .range = {.offset_bytes = 0, .size_bytes = 1000}};
  EXPECT_TRUE(Run(store_.CopyPart(upload, 1, copy)));
  Put("from", Bytes(1000, 6));
  Result<UploadedPart> changed = Run(store_.CopyPart(upload, 1, copy));
  EXPECT_TRUE(changed || changed.error().kind == ErrorKind::kPrecondition);
  copy.source_key = "absent";
  EXPECT_EQ(KindOf(Run(store_.CopyPart(upload, 1, copy))), ErrorKind::kNotFound);
  EXPECT_TRUE(Run(store_.AbortMultipart(upload)));
}

// An object of many parts is the parts in order, with everything given at the start.
TEST_P(StoreSuite, MultipartObjectsAreWhole) {
  PutRequest request = At("multi/a b+c");
  request.headers.content_type = "text/plain";
  request.headers.cache_control = "no-store";
  request.metadata = {{"a", "1"}};
  if (can_.tags) request.tags = {{"t", "1"}};
  MultipartUpload upload = Begin(request);
  EXPECT_FALSE(upload.upload_id.empty());

  std::string a = Bytes(PartSize(can_), 1);
  std::string b = Bytes(PartSize(can_) + 1, 2);
  std::string c = Bytes(10, 3);
  // Out of order, and one number twice: the later replaces the earlier.
  UploadedPart third = Part(upload, 7, c);
  Part(upload, 1, Bytes(PartSize(can_), 9));
  UploadedPart second = Part(upload, 2, b);
  UploadedPart first = Part(upload, 1, a);
  EXPECT_EQ(first.size_bytes, a.size());

  Result<std::vector<UploadedPart>> listed = Run(store_.ListParts(upload));
  ASSERT_TRUE(listed) << listed.error().Describe();
  ASSERT_EQ(listed->size(), 3u);
  EXPECT_EQ((*listed)[0].etag, first.etag);
  EXPECT_EQ((*listed)[1].size_bytes, b.size());
  EXPECT_EQ((*listed)[2].number, 7);
  EXPECT_FALSE(Exists("multi/a b+c"));

  Result<PutResult> done =
      Run(store_.CompleteMultipart({.upload = upload, .parts = {first, second, third}}));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->etag, MultipartEtag({a, b, c}));
  EXPECT_TRUE(Read("multi/a b+c") == a + b + c);
  ObjectInfo info = Head("multi/a b+c");
  EXPECT_EQ(info.etag, done->etag);
  EXPECT_EQ(info.size_bytes, a.size() + b.size() + c.size());
  EXPECT_EQ(info.headers.content_type, "text/plain");
  EXPECT_EQ(info.headers.cache_control, "no-store");
  EXPECT_EQ(info.metadata, request.metadata);
  if (can_.tags) EXPECT_EQ(*Run(store_.GetTags(bucket_, upload.key, "")), request.tags);

  // The parts' sizes can be asked for: that is how ETags are kept.
  Result<ObjectInfo> part =
      Run(store_.Head({.bucket = bucket_, .key = upload.key, .part_number = 2}));
  ASSERT_TRUE(part) << part.error().Describe();
  EXPECT_EQ(part->part_count, can_.heads_parts ? 3 : 0);

  Result<std::vector<UploadedPart>> after = Run(store_.ListParts(upload));
  EXPECT_EQ(KindOf(after), ErrorKind::kNotFound);
  EXPECT_EQ(after.error().code, "NoSuchUpload");
}

// One small part is enough, and its ETag is still that of a multipart object.
TEST_P(StoreSuite, MultipartOfOnePart) {
  MultipartUpload upload = Begin(At("single"));
  UploadedPart part = Part(upload, 1, "tiny");
  EXPECT_EQ(part.etag, Md5Hex("tiny"));
  Result<PutResult> done = Run(store_.CompleteMultipart({.upload = upload, .parts = {part}}));
  ASSERT_TRUE(done) << done.error().Describe();
  EXPECT_EQ(done->etag, MultipartEtag({"tiny"}));
  EXPECT_EQ(Read("single"), "tiny");
}

// A part that the caller did not name is not part of the object; Ceph refuses to finish without it.
TEST_P(StoreSuite, MultipartLeavesOutUnnamedParts) {
  MultipartUpload upload = Begin(At("some"));
  std::string a = Bytes(PartSize(can_), 1);
  UploadedPart first = Part(upload, 1, a);
  Part(upload, 2, Bytes(PartSize(can_), 2));
  UploadedPart third = Part(upload, 3, "end");
  Result<PutResult> done =
      Run(store_.CompleteMultipart({.upload = upload, .parts = {first, third}}));
  if (!done) {
    EXPECT_EQ(done.error().code, "InvalidPart") << done.error().Describe();
    EXPECT_FALSE(Exists("some"));
    return;
  }
  EXPECT_TRUE(Read("some") == a + "end");
}

// Completing with parts that are not there must not make an object.
TEST_P(StoreSuite, MultipartWithWrongPartsIsRefused) {
  MultipartUpload upload = Begin(At("wrong"));
  UploadedPart part = Part(upload, 1, "one");
  UploadedPart other = part;
  other.etag = Md5Hex("two");
  EXPECT_EQ(KindOf(Run(store_.CompleteMultipart({.upload = upload, .parts = {other}}))),
            ErrorKind::kInvalidInput);
  UploadedPart missing = part;
  missing.number = 2;
  EXPECT_EQ(KindOf(Run(store_.CompleteMultipart({.upload = upload, .parts = {missing}}))),
            ErrorKind::kInvalidInput);
  EXPECT_FALSE(Exists("wrong"));
  // The upload is still there and can be finished rightly.
  Result<PutResult> done = Run(store_.CompleteMultipart({.upload = upload, .parts = {part}}));
  EXPECT_TRUE(done) << done.error().Describe();
}

// Nothing of an upload that was given up may be left, least of all its parts.
TEST_P(StoreSuite, AbortedUploadsAreGone) {
  Put("aborted", "before");
  MultipartUpload upload = Begin(At("aborted"));
  Part(upload, 1, "one");
  for (int i = 0; i < 2; ++i) {
    Result<void> aborted = Run(store_.AbortMultipart(upload));
    EXPECT_TRUE(aborted) << aborted.error().Describe();
  }
  EXPECT_EQ(KindOf(Run(store_.ListParts(upload))), ErrorKind::kNotFound);
  Result<UploadedPart> late = Run(PutPart(store_, upload, 1, "late"));
  EXPECT_EQ(KindOf(late), ErrorKind::kNotFound);
  EXPECT_EQ(late.error().code, "NoSuchUpload");
  EXPECT_EQ(Read("aborted"), "before");
}

// The janitor finds what crashed uploads left, by prefix.
TEST_P(StoreSuite, UploadsAreListed) {
  std::vector<MultipartUpload> uploads;
  for (const char* key : {"in/a b", "in/b", "out/c"}) uploads.push_back(Begin(At(key)));
  uploads.push_back(Begin(At("in/b")));
  Result<std::vector<MultipartUpload>> exact = Run(store_.ListMultipartUploads(bucket_, "in/a b"));
  ASSERT_TRUE(exact) << exact.error().Describe();
  ASSERT_EQ(exact->size(), 1u);
  EXPECT_EQ((*exact)[0].key, "in/a b");
  EXPECT_EQ((*exact)[0].upload_id, uploads[0].upload_id);
  EXPECT_EQ((*exact)[0].bucket, bucket_);
  Result<std::vector<MultipartUpload>> found = Run(store_.ListMultipartUploads(bucket_, "in/"));
  ASSERT_TRUE(found) << found.error().Describe();
  EXPECT_EQ(found->size(), can_.lists_uploads ? 3u : 0u);
  for (const MultipartUpload& upload : uploads) {
    ASSERT_TRUE(Run(store_.AbortMultipart(upload)));
  }
  EXPECT_TRUE(Run(store_.ListMultipartUploads(bucket_, "in/"))->empty());
}

// A large replica is written under the same conditions as a small one.
TEST_P(StoreSuite, CompleteConditions) {
  auto complete = [&](WriteCondition condition, const std::string& text) {
    MultipartUpload upload = Begin(At("conditional"));
    UploadedPart part = Part(upload, 1, text);
    Result<PutResult> done = Run(store_.CompleteMultipart(
        {.upload = upload, .parts = {part}, .condition = std::move(condition)}));
    if (!done) EXPECT_TRUE(Run(store_.AbortMultipart(upload)));
    return done;
  };
  Result<PutResult> first = complete({.if_absent = true}, "first");
  Result<PutResult> second = complete({.if_absent = true}, "second");
  if (can_.complete_if_absent) {
    ASSERT_TRUE(first) << first.error().Describe();
    EXPECT_EQ(KindOf(second), ErrorKind::kPrecondition);
    EXPECT_EQ(Read("conditional"), "first");
  } else {
    EXPECT_TRUE(second || second.error().kind == ErrorKind::kInvalidInput);
  }
  std::string etag = Put("conditional", "present").etag;
  Result<PutResult> stale = complete({.if_match = Md5Hex("other")}, "stale");
  if (can_.complete_if_match) {
    EXPECT_EQ(KindOf(stale), ErrorKind::kPrecondition);
    Result<PutResult> fresh = complete({.if_match = etag}, "fresh");
    EXPECT_TRUE(fresh) << fresh.error().Describe();
    EXPECT_EQ(Read("conditional"), "fresh");
  } else {
    EXPECT_TRUE(stale || stale.error().kind == ErrorKind::kInvalidInput);
  }
}

// The checksum of the whole is what a reader verifies large objects against.
TEST_P(StoreSuite, MultipartFullObjectChecksum) {
  if (!can_.checksums) {
    MultipartUpload upload = Begin(At("crc"));
    UploadedPart part = Part(upload, 1, "whole");
    ASSERT_TRUE(Run(store_.CompleteMultipart({.upload = upload, .parts = {part}})));
    EXPECT_TRUE(Head("crc").checksums.empty());
    return;
  }
  std::string a = Bytes(PartSize(can_), 1);
  std::string b = Bytes(20, 2);
  for (bool right : {false, true}) {
    PutRequest request = At("crc");
    request.checksum = Checksum{ChecksumAlgorithm::kCrc64Nvme, "", false};
    MultipartUpload upload = Begin(request);
    std::vector<UploadedPart> parts = {Part(upload, 1, a), Part(upload, 2, b)};
    Checksum whole{ChecksumAlgorithm::kCrc64Nvme,
                   Base64Encode(Digest(HashKind::kCrc64Nvme, right ? a + b : a)), false};
    Result<PutResult> done =
        Run(store_.CompleteMultipart({.upload = upload, .parts = parts, .checksum = whole}));
    if (!right) {
      EXPECT_TRUE(KindOf(done) == ErrorKind::kInvalidInput ||
                  done.error().kind == ErrorKind::kCorrupt);
      EXPECT_FALSE(Exists("crc"));
      EXPECT_TRUE(Run(store_.AbortMultipart(upload)));
      continue;
    }
    ASSERT_TRUE(done) << done.error().Describe();
    std::vector<Checksum> stored = Head("crc").checksums;
    EXPECT_TRUE(std::ranges::find(stored, whole) != stored.end());
  }
}

}  // namespace longhaul::testing
